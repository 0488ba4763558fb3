// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include <cuda_runtime_api.h>

#include "core/cuda/memory.h"

namespace peregrine::cuda {

/// Owns one CUDA object; move-only. The destructor ignores errors: it may run while another error
/// is on its way, or after the driver has shut down.
template <typename T, auto Destroy>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T value) : value_(value) {}
  Handle(Handle&& other) noexcept : value_(std::exchange(other.value_, T{})) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Handle() {
    if (value_) Destroy(value_);
  }
  T get() const { return value_; }
  explicit operator bool() const { return value_ != T{}; }

 private:
  T value_{};
};

using Stream = Handle<cudaStream_t, cudaStreamDestroy>;
using Event = Handle<cudaEvent_t, cudaEventDestroy>;
using Graph = Handle<cudaGraph_t, cudaGraphDestroy>;
using GraphExec = Handle<cudaGraphExec_t, cudaGraphExecDestroy>;

/// A stream that does not wait for the legacy default stream. Throws `Error(kGpu)`.
Stream make_stream();
/// What an event is for.
enum class EventUse {
  kOrder,   ///< only ordering: the cheapest
  kTiming,  ///< `milliseconds_between` accepts it
  kSleep,   ///< as kTiming; a host thread that waits for it sleeps instead of spinning
};
/// Throws `Error(kGpu)`.
Event make_event(EventUse use = EventUse::kOrder);
/// Time from one finished event to another. Throws `Error(kGpu)`.
float milliseconds_between(const Event& start, const Event& stop);

/// Records what `work` puts on a stream into a graph that one call replays. Throws `Error(kGpu)`;
/// an exception of `work` ends the capture and goes on.
template <typename Work>
GraphExec capture(cudaStream_t stream, Work&& work);

namespace detail {
/// Memory that `Free` gives back.
template <auto Free>
class Buffer {
 public:
  void* data() const { return memory_.get(); }
  template <typename T>
  T* as() const {
    return static_cast<T*>(memory_.get());
  }
  std::size_t bytes() const { return bytes_; }

 protected:
  Buffer() = default;
  Buffer(void* memory, std::size_t bytes) : memory_(memory), bytes_(bytes) {}

 private:
  Handle<void*, Free> memory_;
  std::size_t bytes_ = 0;
};
}  // namespace detail

/// Device memory on the current device, 256-byte aligned, uninitialized. Set-up only: allocating
/// synchronizes (core/cuda/memory.h has a pool for the rest). Throws `Error(kOutOfMemory)` with the
/// size wanted and the size free.
class DeviceBuffer : public detail::Buffer<free_on_device> {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(std::size_t bytes);
};

/// Host memory that the device copies from and to without a detour. Throws `Error(kOutOfMemory)`.
class PinnedBuffer : public detail::Buffer<cudaFreeHost> {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(std::size_t bytes);
};

/// The driver's own libraries (NVDEC opening or closing a decoder) wait for the whole context,
/// which is forbidden while a stream of it is captured and spoils the capture. Hold this around
/// such calls; captures hold it alone. Many may be held at once.
std::shared_lock<std::shared_mutex> no_capture();

namespace detail {
std::unique_lock<std::shared_mutex> capture_alone();
void begin_capture(cudaStream_t stream);
GraphExec end_capture(cudaStream_t stream);
void abandon_capture(cudaStream_t stream) noexcept;
}  // namespace detail

template <typename Work>
GraphExec capture(cudaStream_t stream, Work&& work) {
  const auto alone = detail::capture_alone();
  detail::begin_capture(stream);
  try {
    std::forward<Work>(work)();
  } catch (...) {
    detail::abandon_capture(stream);
    throw;
  }
  return detail::end_capture(stream);
}

}  // namespace peregrine::cuda
