// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/gather.h"

#include "engine/cuda/kernels/each.cuh"

namespace peregrine::cuda {

void launch_gather(const GatherParams& params, bool overlapped, cudaStream_t stream) {
  with_body(params, [&]<typename Body>(Body) { launch_each<Body>(params, overlapped, stream); });
}

}  // namespace peregrine::cuda
