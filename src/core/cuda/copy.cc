// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/copy.h"

#include "core/cuda/check.h"

namespace peregrine::cuda {

void copy_up(TransferPoint& point, void* device, const void* host, std::size_t bytes,
             cudaStream_t stream) {
  if (bytes == 0) return;
  CUDA_CHECK(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream));
  point.add(bytes);
}

void copy_down(TransferPoint& point, void* host, const void* device, std::size_t bytes,
               cudaStream_t stream) {
  if (bytes == 0) return;
  CUDA_CHECK(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream));
  point.add(bytes);
}

void copy_up_2d(TransferPoint& point, void* device, std::size_t device_pitch, const void* host,
                std::size_t host_pitch, std::size_t width, std::size_t rows, cudaStream_t stream) {
  if (width * rows == 0) return;
  CUDA_CHECK(cudaMemcpy2DAsync(device, device_pitch, host, host_pitch, width, rows,
                               cudaMemcpyHostToDevice, stream));
  point.add(width * rows);
}

void copy_down_2d(TransferPoint& point, void* host, std::size_t host_pitch, const void* device,
                  std::size_t device_pitch, std::size_t width, std::size_t rows,
                  cudaStream_t stream) {
  if (width * rows == 0) return;
  CUDA_CHECK(cudaMemcpy2DAsync(host, host_pitch, device, device_pitch, width, rows,
                               cudaMemcpyDeviceToHost, stream));
  point.add(width * rows);
}

}  // namespace peregrine::cuda
