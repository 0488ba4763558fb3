// SPDX-License-Identifier: Apache-2.0
// The accounts of GPU memory, against the driver's where it has any.
#include "core/cuda/memory.h"

#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "engine/cuda/gpu.h"
#include "testing/expect_error.h"

namespace peregrine::cuda {
namespace {

using peregrine::testing::expect_error;

constexpr std::size_t kMiB = std::size_t{1} << 20;

// Each test starts from an empty pool, and leaves neither limit nor injected failure behind.
class GpuMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    PEREGRINE_NEEDS_GPU();
    CUDA_CHECK(cudaSetDevice(0));
    CUDA_CHECK(cudaFree(nullptr));
    trim_pool(0);
    start_ = memory_stats(0);
    ASSERT_EQ(start_.cached, 0U);
  }
  void TearDown() override {
    set_memory_limit(0, 0);
    fail_allocation(0);
    trim_pool(0);
  }

  std::size_t in_use() const { return memory_stats(0).in_use - start_.in_use; }
  std::uint64_t allocations() const {
    return memory_stats(0).device_allocations - start_.device_allocations;
  }
  static std::size_t free_bytes() {
    std::size_t free = 0, total = 0;
    CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return free;
  }

  MemoryStats start_;
};

TEST_F(GpuMemory, ReleasedBuffersServeTheirClassAgain) {
  constexpr std::size_t kBytes = 100'000;
  const std::size_t size = pool_class(kBytes);
  void* first = nullptr;
  {
    const PooledBuffer buffer(kBytes);
    first = buffer.data();
    EXPECT_EQ(buffer.bytes(), kBytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 512, 0U);
    EXPECT_EQ(in_use(), size);
    EXPECT_EQ(memory_stats(0).cached, 0U);
    EXPECT_NEAR(memory_stats(0).fragmentation, 1 - double(kBytes) / double(size), 1e-9);
    CUDA_CHECK(cudaMemset(buffer.data(), 1, size));
  }
  EXPECT_EQ(in_use(), 0U);
  EXPECT_EQ(memory_stats(0).cached, size);
  EXPECT_EQ(memory_stats(0).fragmentation, 0);

  const PooledBuffer again(size - 1);
  EXPECT_EQ(again.data(), first);
  EXPECT_EQ(allocations(), 1U);
  const PooledBuffer other(2 * size);
  EXPECT_NE(other.data(), first);
  EXPECT_EQ(allocations(), 2U);
  EXPECT_EQ(in_use(), size + pool_class(2 * size));
}

TEST_F(GpuMemory, MovedBuffersAreGivenBackOnce) {
  PooledBuffer a(kMiB);
  void* memory = a.data();
  PooledBuffer b(std::move(a));
  EXPECT_EQ(b.data(), memory);
  a = PooledBuffer(2 * kMiB);
  std::swap(a, b);
  EXPECT_EQ(a.data(), memory);
  EXPECT_EQ(in_use(), 3 * kMiB);
  a = {};
  b = {};
  EXPECT_EQ(in_use(), 0U);
  EXPECT_EQ(memory_stats(0).cached, 3 * kMiB);
  const PooledBuffer nothing(0);
  EXPECT_EQ(nothing.data(), nullptr);
  EXPECT_EQ(allocations(), 2U);
}

TEST_F(GpuMemory, TrimmingReturnsTheCacheToTheDriver) {
  constexpr std::size_t kBytes = 256 * kMiB;
  const std::size_t before = free_bytes();
  { const PooledBuffer buffer(kBytes); }
  EXPECT_LE(free_bytes() + kBytes, before);
  EXPECT_EQ(trim_pool(0), kBytes);
  EXPECT_EQ(memory_stats(0).cached, 0U);
  EXPECT_GE(free_bytes() + kMiB, before);
  EXPECT_GE(memory_stats(0).peak, start_.in_use + kBytes) << "the peak stays";
  EXPECT_EQ(trim_pool(0), 0U);
}

TEST_F(GpuMemory, TheLimitRefusesInWords) {
  { const PooledBuffer cached(4 * kMiB); }
  set_memory_limit(0, start_.in_use + 6 * kMiB);
  EXPECT_EQ(memory_stats(0).limit, start_.in_use + 6 * kMiB);
  expect_error(ErrorCode::kOutOfMemory,
               {"the GPU has no room for 8.0 MiB", "MiB are in use", "of the limit of",
                "Use a smaller batch or fewer streams"},
               [] { const DeviceBuffer buffer(8 * kMiB); });
  EXPECT_EQ(in_use(), 0U);
  EXPECT_EQ(memory_stats(0).cached, 4 * kMiB) << "what would not help is not given up";

  const DeviceBuffer buffer(5 * kMiB);  // fits once the pool gives its memory back
  EXPECT_EQ(in_use(), 5 * kMiB);
  EXPECT_EQ(memory_stats(0).cached, 0U);
  expect_error(ErrorCode::kOutOfMemory, {"no room for 2.0 MiB"},
               [] { const PooledBuffer more(2 * kMiB); });
  set_memory_limit(0, 0);
  const PooledBuffer more(2 * kMiB);
}

TEST_F(GpuMemory, TheLimitCountsWhatDecodersTakeAfterwards) {
  const std::size_t free = available_memory(0);
  EXPECT_NEAR(double(free), double(free_bytes()), double(64 * kMiB));
  set_memory_limit(0, 256 * kMiB);
  EXPECT_NEAR(double(available_memory(0)), double(256 * kMiB), double(64 * kMiB))
      << "what others use does not count";
  void* unbooked = nullptr;  // as the driver takes it for a decoder
  CUDA_CHECK(cudaMalloc(&unbooked, 512 * kMiB));
  EXPECT_EQ(available_memory(0), 0U);
  CUDA_CHECK(cudaFree(unbooked));
}

TEST_F(GpuMemory, TheNthAllocationFails) {
  { const PooledBuffer cached(kMiB); }
  fail_allocation(2);
  const PooledBuffer reused(kMiB);  // no allocation
  const DeviceBuffer first(kMiB);
  const std::size_t held = in_use();
  expect_error(ErrorCode::kOutOfMemory, {"injected"}, [] { const PooledBuffer second(3 * kMiB); });
  EXPECT_EQ(in_use(), held);
  const PooledBuffer third(3 * kMiB);
  EXPECT_EQ(in_use(), held + 3 * kMiB);
}

TEST_F(GpuMemory, AFullGpuSaysSoAndGoesOn) {
  { const PooledBuffer cached(64 * kMiB); }
  expect_error(ErrorCode::kOutOfMemory, {"the GPU has no room for 1048576.0 MiB", "MiB free"},
               [] { const DeviceBuffer buffer(std::size_t{1} << 40); });
  EXPECT_EQ(memory_stats(0).cached, 0U) << "the pool gives way first";
  EXPECT_EQ(in_use(), 0U);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "the next check must not find the failure again";
  const DeviceBuffer buffer(kMiB);
  CUDA_CHECK(cudaMemset(buffer.data(), 1, kMiB));
  CUDA_CHECK(cudaDeviceSynchronize());
}

TEST_F(GpuMemory, ThreadsNeverShareABuffer) {
  constexpr int kThreads = 8, kRounds = 2000;
  std::mutex mutex;
  std::set<void*> held;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      std::vector<PooledBuffer> mine(4);
      const auto forget = [&](PooledBuffer& buffer) {
        const std::lock_guard lock(mutex);
        held.erase(buffer.data());
      };
      for (int i = 0; i < kRounds; ++i) {
        PooledBuffer& slot = mine[random() % mine.size()];
        forget(slot);
        slot = {};
        slot = PooledBuffer(1 + random() % (2 * kMiB));
        const std::lock_guard lock(mutex);
        EXPECT_TRUE(held.insert(slot.data()).second) << "handed out twice";
      }
      for (PooledBuffer& buffer : mine) forget(buffer);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(in_use(), 0U);
  EXPECT_LE(allocations(), 21U * 32U) << "21 classes, at most 32 of each at once";
  const std::size_t cached = memory_stats(0).cached;
  EXPECT_GT(cached, 0U);
  EXPECT_EQ(trim_pool(0), cached);
}

}  // namespace
}  // namespace peregrine::cuda
