// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/device_info.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "core/cuda/check.h"
#include "peregrine/error.h"

namespace peregrine::cuda {

int device_count(std::string* why_none) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess) return count;
  cudaGetLastError();
  if (why_none) *why_none = cudaGetErrorString(status);
  return 0;
}

void* driver_context(int index) {
  CUDA_CHECK(cudaInitDevice(index, 0, 0));
  CUDA_CHECK(cudaSetDevice(index));
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  CUDA_CHECK(cudaGetDriverEntryPointByVersion("cuCtxGetCurrent", &function, 12000,
                                              cudaEnableDefault, &found));
  void* context = nullptr;
  constexpr int kSuccess = 0;  // CUDA_SUCCESS; cuda.h is not needed for it
  if (found != cudaDriverEntryPointSuccess ||
      reinterpret_cast<int (*)(void**)>(function)(&context) != kSuccess) {
    throw Error(ErrorCode::kGpu,
                "the driver does not name its context; 'peregrine doctor' checks the GPU");
  }
  return context;
}

DeviceInfo device_info(int index) {
  cudaDeviceProp properties{};
  CUDA_CHECK(cudaGetDeviceProperties(&properties, index));
  DeviceInfo info;
  info.index = index;
  info.name = properties.name;
  info.compute_major = properties.major;
  info.compute_minor = properties.minor;
  info.multiprocessors = properties.multiProcessorCount;
  info.memory_bytes = properties.totalGlobalMem;
  info.l2_bytes = static_cast<std::size_t>(properties.l2CacheSize);
  info.shared_bytes_per_block = static_cast<int>(properties.sharedMemPerBlockOptin);
  CUDA_CHECK(cudaDriverGetVersion(&info.driver_version));
  CUDA_CHECK(cudaRuntimeGetVersion(&info.runtime_version));
  if (info.sm() < 80) {
    throw Error(ErrorCode::kGpu,
                fmt::format("cuda:{} ({}) has compute capability {}.{}; the CUDA engine needs 8.0 "
                            "or later. Run with --device cpu.",
                            index, info.name, info.compute_major, info.compute_minor));
  }
  return info;
}

}  // namespace peregrine::cuda
