// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/handles.h"

#include <fmt/format.h>

#include "core/cuda/check.h"
#include "peregrine/error.h"

namespace peregrine::cuda {

Stream make_stream() {
  cudaStream_t stream = nullptr;
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return Stream(stream);
}

Event make_event(bool timing) {
  cudaEvent_t event = nullptr;
  CUDA_CHECK(cudaEventCreateWithFlags(&event, timing ? cudaEventDefault : cudaEventDisableTiming));
  return Event(event);
}

float milliseconds_between(const Event& start, const Event& stop) {
  float milliseconds = 0;
  CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start.get(), stop.get()));
  return milliseconds;
}

namespace {

void* allocate_on_device(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t available = 0, total = 0;
    CUDA_CHECK(cudaMemGetInfo(&available, &total));
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("the GPU has no room for {:.1f} MiB ({:.1f} of {:.1f} MiB free). Use a "
                            "smaller batch or fewer streams, or free the GPU's memory.",
                            bytes / 1048576.0, available / 1048576.0, total / 1048576.0));
  }
  CUDA_CHECK(status);
  return memory;
}

void* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  if (bytes > 0) CUDA_CHECK(cudaMallocHost(&memory, bytes));
  return memory;
}

}  // namespace

DeviceBuffer::DeviceBuffer(std::size_t bytes) : Buffer(allocate_on_device(bytes), bytes) {}
PinnedBuffer::PinnedBuffer(std::size_t bytes) : Buffer(allocate_pinned(bytes), bytes) {}

namespace detail {

void begin_capture(cudaStream_t stream) {
  // Thread-local: another thread may allocate or copy while this one records.
  CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
}

GraphExec end_capture(cudaStream_t stream) {
  cudaGraph_t recorded = nullptr;
  CUDA_CHECK(cudaStreamEndCapture(stream, &recorded));
  const Graph graph(recorded);
  cudaGraphExec_t executable = nullptr;
  CUDA_CHECK(cudaGraphInstantiate(&executable, graph.get(), 0));
  return GraphExec(executable);
}

void abandon_capture(cudaStream_t stream) noexcept {
  cudaGraph_t recorded = nullptr;
  cudaStreamEndCapture(stream, &recorded);
  const Graph graph(recorded);
  cudaGetLastError();
}

}  // namespace detail
}  // namespace peregrine::cuda
