// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/rearrange.h"

#include "engine/cuda/kernels/each.cuh"

namespace peregrine::cuda {
namespace {

template <typename Params>
void launch_body(const Params& params, bool overlapped, cudaStream_t stream) {
  with_body(params, [&]<typename Body>(Body) { launch_each<Body>(params, overlapped, stream); });
}

}  // namespace

void launch_remap(const RemapParams& params, bool overlapped, cudaStream_t stream) {
  launch_body(params, overlapped, stream);
}
void launch_trilu(const TriluParams& params, bool overlapped, cudaStream_t stream) {
  launch_body(params, overlapped, stream);
}
void launch_reverse(const ReverseParams& params, bool overlapped, cudaStream_t stream) {
  launch_body(params, overlapped, stream);
}
void launch_one_hot(const OneHotParams& params, bool overlapped, cudaStream_t stream) {
  launch_body(params, overlapped, stream);
}

}  // namespace peregrine::cuda
