// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/memory.h"

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "core/cuda/check.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

constexpr std::size_t kSmallestClass = std::size_t{1} << 16;

struct Block {
  int device = 0;
  std::size_t bytes = 0;
};

struct DeviceAccounts {
  std::size_t held = 0;  // by callers and the pool
  std::size_t peak = 0;
  std::size_t limit = 0;
  std::size_t elsewhere = 0;  // in use when the limit was set: other processes, CUDA's context
  std::size_t cached = 0;     // of `held`
  std::size_t pooled = 0;     // of `held`, by callers through the pool, rounded up
  std::size_t requested = 0;  // what they asked for
  std::uint64_t allocations = 0;
  std::map<std::size_t, std::vector<void*>> free;  // by class
};

struct Accounts {
  std::mutex mutex;
  std::unordered_map<void*, Block> blocks;
  std::map<int, DeviceAccounts> devices;
  int fail_in = 0;
};
// Never destroyed: buffers of static objects may be freed late.
Accounts& accounts() {
  static auto* all = new Accounts;
  return *all;
}

int current_device() {
  int device = 0;
  CUDA_CHECK(cudaGetDevice(&device));
  return device;
}

double mebibytes(std::size_t bytes) { return static_cast<double>(bytes) / 1048576.0; }

[[noreturn]] void refuse(std::size_t bytes, const std::string& why) {
  throw Error(ErrorCode::kOutOfMemory,
              fmt::format("the GPU has no room for {:.1f} MiB ({}). Use a smaller batch or fewer "
                          "streams, or free the GPU's memory.",
                          mebibytes(bytes), why));
}

std::string free_text() {
  std::size_t available = 0, total = 0;
  CUDA_CHECK(cudaMemGetInfo(&available, &total));
  return fmt::format("{:.1f} of {:.1f} MiB free", mebibytes(available), mebibytes(total));
}

// Books `bytes` before they are asked for, so that no two threads pass the limit together.
void book(int device, std::size_t bytes) {
  Accounts& all = accounts();
  const std::lock_guard lock(all.mutex);
  DeviceAccounts& mine = all.devices[device];
  if (all.fail_in > 0 && --all.fail_in == 0) refuse(bytes, "a test's injected failure");
  if (mine.limit > 0 && mine.held + bytes > mine.limit) {
    refuse(bytes, fmt::format("{:.1f} of the limit of {:.1f} MiB are in use", mebibytes(mine.held),
                              mebibytes(mine.limit)));
  }
  mine.held += bytes;
  mine.peak = std::max(mine.peak, mine.held);
  ++mine.allocations;
}

// Whether `bytes` more would pass the limit that they would not if nothing were cached.
bool needs_trim(int device, std::size_t bytes) {
  const std::lock_guard lock(accounts().mutex);
  const DeviceAccounts& mine = accounts().devices[device];
  return mine.limit > 0 && mine.cached > 0 && mine.held + bytes > mine.limit &&
         mine.held - mine.cached + bytes <= mine.limit;
}

void unbook(int device, std::size_t bytes) {
  const std::lock_guard lock(accounts().mutex);
  accounts().devices[device].held -= bytes;
}

}  // namespace

MemoryStats memory_stats(int device) {
  const std::lock_guard lock(accounts().mutex);
  const DeviceAccounts& mine = accounts().devices[device];
  MemoryStats stats;
  stats.in_use = mine.held - mine.cached;
  stats.cached = mine.cached;
  stats.peak = mine.peak;
  stats.device_allocations = mine.allocations;
  stats.limit = mine.limit;
  if (mine.pooled > 0) {
    stats.fragmentation =
        1 - static_cast<double>(mine.requested) / static_cast<double>(mine.pooled);
  }
  return stats;
}

void set_memory_limit(int device, std::size_t bytes) {
  std::size_t available = 0, total = 0;
  const bool known = bytes > 0 && cudaSetDevice(device) == cudaSuccess &&
                     cudaMemGetInfo(&available, &total) == cudaSuccess;
  if (bytes > 0 && !known) cudaGetLastError();  // without a GPU there is nothing to limit
  const std::lock_guard lock(accounts().mutex);
  DeviceAccounts& mine = accounts().devices[device];
  mine.limit = bytes;
  mine.elsewhere = known ? total - available - std::min(mine.held, total - available) : 0;
}

void fail_allocation(int nth) {
  const std::lock_guard lock(accounts().mutex);
  accounts().fail_in = nth;
}

std::size_t available_memory(int device) {
  CUDA_CHECK(cudaSetDevice(device));
  std::size_t available = 0, total = 0;
  CUDA_CHECK(cudaMemGetInfo(&available, &total));
  const std::lock_guard lock(accounts().mutex);
  const DeviceAccounts& mine = accounts().devices[device];
  if (mine.limit == 0) return available;
  // What the driver has given to decoders since counts too.
  const std::size_t used = total - available - std::min(mine.elsewhere, total - available);
  return std::min(available, mine.limit > used ? mine.limit - used : 0);
}

void* allocate_on_device(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  const int device = current_device();
  if (needs_trim(device, bytes)) trim_pool(device);
  book(device, bytes);
  void* memory = nullptr;
  cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    if (trim_pool(device) > 0) status = cudaMalloc(&memory, bytes);
  }
  if (status != cudaSuccess) {
    unbook(device, bytes);
    cudaGetLastError();
    if (status == cudaErrorMemoryAllocation) refuse(bytes, free_text());
    CUDA_CHECK(status);
  }
  const std::lock_guard lock(accounts().mutex);
  accounts().blocks[memory] = {device, bytes};
  return memory;
}

int free_on_device(void* memory) noexcept {
  if (memory == nullptr) return 0;
  {
    const std::lock_guard lock(accounts().mutex);
    const auto found = accounts().blocks.find(memory);
    if (found != accounts().blocks.end()) {
      accounts().devices[found->second.device].held -= found->second.bytes;
      accounts().blocks.erase(found);
    }
  }
  return static_cast<int>(cudaFree(memory));
}

std::size_t pool_class(std::size_t bytes) {
  if (bytes <= kSmallestClass) return kSmallestClass;
  const std::size_t quarter = std::bit_floor(bytes - 1) / 4;
  return (bytes + quarter - 1) / quarter * quarter;
}

PooledBuffer::PooledBuffer(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  const int device = current_device();
  const std::size_t size = pool_class(bytes);
  {
    const std::lock_guard lock(accounts().mutex);
    DeviceAccounts& mine = accounts().devices[device];
    std::vector<void*>& waiting = mine.free[size];
    if (!waiting.empty()) {
      data_ = waiting.back();
      waiting.pop_back();
      mine.cached -= size;
    }
  }
  if (data_ == nullptr) data_ = allocate_on_device(size);
  const std::lock_guard lock(accounts().mutex);
  accounts().devices[device].pooled += size;
  accounts().devices[device].requested += bytes;
}

PooledBuffer::~PooledBuffer() {
  if (data_ == nullptr) return;
  const std::lock_guard lock(accounts().mutex);
  const Block& block = accounts().blocks[data_];
  DeviceAccounts& mine = accounts().devices[block.device];
  mine.pooled -= block.bytes;
  mine.requested -= bytes_;
  mine.cached += block.bytes;
  mine.free[block.bytes].push_back(data_);
}

std::size_t trim_pool(int device) noexcept {
  std::vector<void*> idle;
  std::size_t bytes = 0;
  {
    const std::lock_guard lock(accounts().mutex);
    DeviceAccounts& mine = accounts().devices[device];
    for (auto& [size, waiting] : mine.free) {
      idle.insert(idle.end(), waiting.begin(), waiting.end());
      bytes += size * waiting.size();
      waiting.clear();
    }
    mine.cached = 0;
  }
  for (void* memory : idle) free_on_device(memory);
  return bytes;
}

}  // namespace peregrine::cuda
