// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace peregrine::cuda {

/// What this process holds of one GPU's memory through `DeviceBuffer` and `PooledBuffer`. The
/// decoder's surfaces and CUDA's own needs are the driver's: `used_on_device` has them too.
struct MemoryStats {
  std::size_t in_use = 0;  ///< bytes that callers hold
  std::size_t cached = 0;  ///< bytes that the pool keeps for the next caller
  std::size_t peak = 0;    ///< most of `in_use + cached` so far
  /// Share of pooled bytes that rounding up to size classes wastes, 0 to 1.
  double fragmentation = 0;
  std::uint64_t device_allocations = 0;  ///< calls of cudaMalloc so far: none after warm-up
  std::size_t limit = 0;                 ///< 0: none
};

/// The accounts of GPU `device`. Safe from any thread.
MemoryStats memory_stats(int device);
/// Most that `in_use + cached` may reach: what is cached goes first, then an allocation past it
/// throws `Error(kOutOfMemory)`. What is in use on the GPU at this moment and is not ours (other
/// processes, CUDA's own context) does not count; what decoders take later does. 0: no limit.
/// Does nothing without a GPU.
void set_memory_limit(int device, std::size_t bytes);
/// Tests: the `nth` allocation from now on (1 is the next) fails as if the GPU were full; 0 stops
/// it.
void fail_allocation(int nth);

/// Bytes free on the current device, as the driver says, less what the limit keeps away.
/// Throws `Error(kGpu)`.
std::size_t available_memory(int device);

/// For handles.h: cudaMalloc and cudaFree with accounts. `allocate` is on the current device; its
/// error names what was wanted and what is free.
void* allocate_on_device(std::size_t bytes);
int free_on_device(void* memory) noexcept;

/// Memory on the current device for pictures and what else comes and goes while frames flow: taken
/// from the pool in size classes (four to each power of two), given back to it, never to the driver
/// until `trim_pool`. Move-only.
///
/// The pool knows no streams: let go of a buffer only when the work that uses it is done.
class PooledBuffer {
 public:
  PooledBuffer() = default;
  /// 512-byte aligned, uninitialized. Cached classes cost a lock; others a cudaMalloc. Throws
  /// `Error(kOutOfMemory)`.
  explicit PooledBuffer(std::size_t bytes);
  PooledBuffer(PooledBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  PooledBuffer& operator=(PooledBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~PooledBuffer();

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Gives what the pool of GPU `device` has cached back to the driver. Returns the bytes.
std::size_t trim_pool(int device) noexcept;

/// The class that `bytes` are rounded up to.
std::size_t pool_class(std::size_t bytes);

}  // namespace peregrine::cuda
