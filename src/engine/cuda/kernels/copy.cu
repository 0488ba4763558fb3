// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/copy.h"

#include <string>

#include <cuda_fp16.h>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

constexpr int kThreads = 256;

template <typename In, typename Out>
__global__ void __launch_bounds__(kThreads) copy_kernel(const __grid_constant__ CopyParams p) {
  let_next_kernel_start();
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= p.count) return;
  std::int64_t from = 0, to = 0;
  int rest = static_cast<int>(index);
#pragma unroll
  for (int d = 0; d < CopyParams::kMaxRank; ++d) {
    if (d >= p.rank) break;
    const int quotient = p.extent[d].divide(rest);
    const int position = rest - quotient * static_cast<int>(p.extent[d].divisor);
    rest = quotient;
    from += position * p.input_stride[d];
    to += position * p.output_stride[d];
  }
  wait_for_previous_kernel();
  static_cast<Out*>(p.output)[to] = static_cast<Out>(static_cast<const In*>(p.input)[from]);
}

template <typename In, typename Out>
const void* kernel_of() {
  return reinterpret_cast<const void*>(&copy_kernel<In, Out>);
}

const void* find_kernel(DType input, DType output) {
  if (input == DType::kFloat32 && output == DType::kFloat16) return kernel_of<float, __half>();
  if (input == DType::kFloat16 && output == DType::kFloat32) return kernel_of<__half, float>();
  if (input != output) return nullptr;
  switch (size_of(input)) {
    case 1: return kernel_of<std::uint8_t, std::uint8_t>();
    case 2: return kernel_of<std::uint16_t, std::uint16_t>();
    case 4: return kernel_of<std::uint32_t, std::uint32_t>();
    default: return kernel_of<std::uint64_t, std::uint64_t>();
  }
}

}  // namespace

void launch_copy(const CopyParams& params, DType input, DType output, bool overlapped,
                 cudaStream_t stream) {
  const void* kernel = find_kernel(input, output);
  if (!kernel) {
    throw Error(ErrorCode::kModelUnsupported, std::string("the CUDA engine does not convert ") +
                                                  to_string(input) + " to " + to_string(output));
  }
  if (params.count == 0) return;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>((params.count + kThreads - 1) / kThreads));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(kernel, shape, params, stream);
}

}  // namespace peregrine::cuda
