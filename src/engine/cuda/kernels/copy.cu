// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/copy.h"

#include <string>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"
#include "engine/cuda/kernels/unit.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = TiledCopyParams::kTile;
constexpr int kTileRows = kThreads / kTile;

// `Width` consecutive elements a thread; where nothing converts, elements are as wide as they can
// be instead and Width is 1.
template <typename In, typename Out, int Width>
__global__ void __launch_bounds__(kThreads) copy_kernel(const __grid_constant__ CopyParams p) {
  let_next_kernel_start();
  const int index = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (index >= p.walk.count) return;
  int at[2];
  p.walk.offsets(index, at);
  const In* from = static_cast<const In*>(p.input) + at[1];
  Out* to = static_cast<Out*>(p.output) + at[0];
  wait_for_previous_kernel();
  if constexpr (Width == 1) {
    *to = converted<Out>(*from);
  } else {
    const auto inputs = *reinterpret_cast<const Pack<In, Width>*>(from);
    Pack<Out, Width> outputs;
#pragma unroll
    for (int i = 0; i < Width; ++i) outputs.values[i] = converted<Out>(inputs.values[i]);
    *reinterpret_cast<Pack<Out, Width>*>(to) = outputs;
  }
}

template <typename In, typename Out>
__global__ void __launch_bounds__(kThreads)
    tiled_copy_kernel(const __grid_constant__ TiledCopyParams p) {
  __shared__ Out tile[kTile][kTile + 1];  // one more: columns fall into different banks
  let_next_kernel_start();
  int rest = static_cast<int>(blockIdx.x);
  int quotient = p.tiles_along_output.divide(rest);
  const int first_output =
      (rest - quotient * static_cast<int>(p.tiles_along_output.divisor)) * kTile;
  rest = quotient;
  quotient = p.tiles_along_input.divide(rest);
  const int first_input = (rest - quotient * static_cast<int>(p.tiles_along_input.divisor)) * kTile;
  int at[2];
  p.rest.offsets(quotient, at);
  const int lane = static_cast<int>(threadIdx.x) % kTile;
  const int row = static_cast<int>(threadIdx.x) / kTile;
  const In* from = static_cast<const In*>(p.input) + at[1];
  Out* to = static_cast<Out*>(p.output) + at[0];
  wait_for_previous_kernel();
#pragma unroll
  for (int r = row; r < kTile; r += kTileRows) {
    const int i = first_input + lane, o = first_output + r;
    if (i < p.along_input && o < p.along_output) {
      tile[r][lane] = converted<Out>(from[i + o * p.input_stride]);
    }
  }
  __syncthreads();
#pragma unroll
  for (int r = row; r < kTile; r += kTileRows) {
    const int i = first_input + r, o = first_output + lane;
    if (i < p.along_input && o < p.along_output) to[o + i * p.output_stride] = tile[lane][r];
  }
}

template <typename Params>
void launch_over(const void* kernel, const Params& params, int blocks, bool overlapped,
                 cudaStream_t stream) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(blocks));
  shape.block = dim3(kThreads);
  shape.overlapped = overlapped;
  launch(kernel, shape, params, stream);
}

template <typename In, typename Out, int Width>
void launch_elements(const CopyParams& params, bool overlapped, cudaStream_t stream) {
  launch_over(reinterpret_cast<const void*>(&copy_kernel<In, Out, Width>), params,
              (params.walk.count - 1) / kThreads + 1, overlapped, stream);
}

template <typename In, typename Out>
bool launch_tiled(const CopyParams& params, bool overlapped, cudaStream_t stream) {
  const auto tiled = make_tiled_copy(params);
  if (!tiled) return false;
  launch_over(reinterpret_cast<const void*>(&tiled_copy_kernel<In, Out>), *tiled, tiled->blocks(),
              overlapped, stream);
  return true;
}

template <typename In, typename Out>
void launch_conversion(CopyParams params, bool overlapped, cudaStream_t stream) {
  constexpr int kWidth = 4;
  if (vector_width(params.walk, 2, kWidth,
                   {{params.input, sizeof(In)}, {params.output, sizeof(Out)}}) == kWidth) {
    params.walk = widened(params.walk, 2, kWidth, false);
    return launch_elements<In, Out, kWidth>(params, overlapped, stream);
  }
  if (launch_tiled<In, Out>(params, overlapped, stream)) return;
  launch_elements<In, Out, 1>(params, overlapped, stream);
}

void launch_move(CopyParams params, std::size_t bytes, bool overlapped, cudaStream_t stream) {
  const int width = vector_width(params.walk, 2, static_cast<int>(16 / bytes),
                                 {{params.input, bytes}, {params.output, bytes}});
  params.walk = widened(params.walk, 2, width, true);
  with_unit(static_cast<int>(bytes) * width, [&]<typename Unit>(Unit*) {
    if constexpr (sizeof(Unit) <= 8) {
      if (width == 1 && launch_tiled<Unit, Unit>(params, overlapped, stream)) return;
    }
    launch_elements<Unit, Unit, 1>(params, overlapped, stream);
  });
}

}  // namespace

void launch_copy(const CopyParams& params, DType input, DType output, bool overlapped,
                 cudaStream_t stream) {
  if (params.walk.count == 0) return;
  if (input == output) return launch_move(params, size_of(input), overlapped, stream);
  if (input == DType::kFloat32 && output == DType::kFloat16) {
    return launch_conversion<float, __half>(params, overlapped, stream);
  }
  if (input == DType::kFloat16 && output == DType::kFloat32) {
    return launch_conversion<__half, float>(params, overlapped, stream);
  }
  throw Error(ErrorCode::kModelUnsupported, std::string("the CUDA engine does not convert ") +
                                                to_string(input) + " to " + to_string(output));
}

}  // namespace peregrine::cuda
