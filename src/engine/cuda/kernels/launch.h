// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include "core/cuda/check.h"

namespace peregrine::cuda {

/// How a kernel is put on a stream; all that the attribute list of `cudaLaunchKernelEx` says here.
struct LaunchShape {
  dim3 grid{1, 1, 1};
  dim3 block{1, 1, 1};
  int shared_bytes = 0;
  int cluster_depth = 1;   ///< blocks along grid.z that share their memory (sm_90 and later)
  bool overlapped = true;  ///< programmatic dependent launch on the kernel before it in the stream
};

/// Throws `Error(kGpu)` when the launch is refused; faults inside the kernel show at the next
/// synchronization.
template <typename Params>
void launch(const void* kernel, const LaunchShape& shape, const Params& params,
            cudaStream_t stream) {
  cudaLaunchAttribute attributes[2];
  unsigned count = 0;
  if (shape.overlapped) {
    attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[count++].val.programmaticStreamSerializationAllowed = 1;
  }
  if (shape.cluster_depth > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count].val.clusterDim.x = 1;
    attributes[count].val.clusterDim.y = 1;
    attributes[count++].val.clusterDim.z = static_cast<unsigned>(shape.cluster_depth);
  }
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = static_cast<std::size_t>(shape.shared_bytes);
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = count;
  void* arguments[] = {const_cast<Params*>(&params)};
  CUDA_CHECK(cudaLaunchKernelExC(&config, kernel, arguments));
}

inline int ceil_div(int a, int b) { return (a + b - 1) / b; }

}  // namespace peregrine::cuda
