// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/check.h"
#include "pipeline/trap.h"

namespace peregrine::testing {
namespace {

__global__ void trap() { asm volatile("trap;"); }

}  // namespace

void launch_trap() {
  // Not the default stream, which nobody may use while another thread captures a graph.
  cudaStream_t stream = nullptr;
  CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  trap<<<1, 1, 0, stream>>>();
  CUDA_CHECK(cudaGetLastError());
}

}  // namespace peregrine::testing
