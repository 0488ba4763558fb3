// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/check.h"

#include <cstring>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

const char* way_out(cudaError_t status) {
  switch (status) {
    case cudaErrorInsufficientDriver:
      return "The NVIDIA driver is missing or older than CUDA 13 needs (580 or later): install it, "
             "or run with --device cpu.";
    case cudaErrorNoDevice: return "No NVIDIA GPU is visible: run with --device cpu.";
    case cudaErrorInvalidDevice:
      return "There is no GPU of that number: `peregrine doctor` lists them.";
    case cudaErrorNoKernelImageForDevice:
      return "This build holds no code for this GPU: it needs compute capability 8.0 or later.";
    case cudaErrorMemoryAllocation:
      return "Use a smaller batch or fewer streams, or free the GPU's memory.";
    default: return "`peregrine doctor` checks the GPU.";
  }
}

}  // namespace

void throw_cuda_error(cudaError_t status, const char* expression, const char* file, int line) {
  int device = -1;
  if (cudaGetDevice(&device) != cudaSuccess) device = -1;
  cudaGetLastError();  // a failed call must not be reported a second time by the next check
  const char* slash = std::strrchr(file, '/');
  const std::string where = device < 0 ? std::string("no device") : fmt::format("cuda:{}", device);
  throw Error(status == cudaErrorMemoryAllocation ? ErrorCode::kOutOfMemory : ErrorCode::kGpu,
              fmt::format("CUDA: {} ({}) on {} in {} at {}:{}. {}", cudaGetErrorString(status),
                          cudaGetErrorName(status), where, expression, slash ? slash + 1 : file,
                          line, way_out(status)));
}

}  // namespace peregrine::cuda
