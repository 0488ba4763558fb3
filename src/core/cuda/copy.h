// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include <cuda_runtime_api.h>

#include "core/ledger.h"

namespace peregrine::cuda {

/// The only way host memory reaches the GPU: copies `bytes` on the stream and enters them in the
/// ledger. Pinned host memory returns at once; pageable memory may block. Throws `Error(kGpu)`.
void copy_up(TransferPoint& point, void* device, const void* host, std::size_t bytes,
             cudaStream_t stream);
/// The only way back. The bytes are there once the stream has come so far. Throws `Error(kGpu)`.
void copy_down(TransferPoint& point, void* host, const void* device, std::size_t bytes,
               cudaStream_t stream);
/// Rows of `width` bytes, `device_pitch` and `host_pitch` bytes apart. Throws `Error(kGpu)`.
void copy_up_2d(TransferPoint& point, void* device, std::size_t device_pitch, const void* host,
                std::size_t host_pitch, std::size_t width, std::size_t rows, cudaStream_t stream);
void copy_down_2d(TransferPoint& point, void* host, std::size_t host_pitch, const void* device,
                  std::size_t device_pitch, std::size_t width, std::size_t rows,
                  cudaStream_t stream);

}  // namespace peregrine::cuda
