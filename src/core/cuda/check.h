// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

namespace peregrine::cuda {

/// Throws `Error(kGpu)`, or `Error(kOutOfMemory)` where the device ran out of it, naming the call,
/// its place and the device. Use it through `CUDA_CHECK`.
[[noreturn]] void throw_cuda_error(cudaError_t status, const char* expression, const char* file,
                                   int line);

}  // namespace peregrine::cuda

/// Every runtime call goes through this; a kernel launch is followed by
/// `CUDA_CHECK(cudaGetLastError())`.
#define CUDA_CHECK(expression)                                                            \
  do {                                                                                    \
    if (const cudaError_t cuda_status_ = (expression); cuda_status_ != cudaSuccess)       \
      ::peregrine::cuda::throw_cuda_error(cuda_status_, #expression, __FILE__, __LINE__); \
  } while (false)
