// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/handles.h"

#include "core/cuda/check.h"

namespace peregrine::cuda {

Stream make_stream() {
  cudaStream_t stream = nullptr;
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return Stream(stream);
}

Event make_event(EventUse use) {
  cudaEvent_t event = nullptr;
  const unsigned flags = use == EventUse::kOrder    ? cudaEventDisableTiming
                         : use == EventUse::kTiming ? cudaEventDefault
                                                    : cudaEventBlockingSync;
  CUDA_CHECK(cudaEventCreateWithFlags(&event, flags));
  return Event(event);
}

float milliseconds_between(const Event& start, const Event& stop) {
  float milliseconds = 0;
  CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start.get(), stop.get()));
  return milliseconds;
}

namespace {

void* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  if (bytes > 0) CUDA_CHECK(cudaMallocHost(&memory, bytes));
  return memory;
}

}  // namespace

DeviceBuffer::DeviceBuffer(std::size_t bytes) : Buffer(allocate_on_device(bytes), bytes) {}
PinnedBuffer::PinnedBuffer(std::size_t bytes) : Buffer(allocate_pinned(bytes), bytes) {}

namespace {

std::shared_mutex& capture_mutex() {
  static auto* one = new std::shared_mutex;  // buffers of static objects may go late
  return *one;
}

}  // namespace

std::shared_lock<std::shared_mutex> no_capture() { return std::shared_lock(capture_mutex()); }

namespace detail {

std::unique_lock<std::shared_mutex> capture_alone() { return std::unique_lock(capture_mutex()); }

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
