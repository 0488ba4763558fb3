// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include <cuda_runtime_api.h>

namespace peregrine::bench {

/// Uniform FP16 in [-scale, scale), the same for the same seed. Zeros would run faster than data.
void fill_half(void* data, std::size_t count, unsigned seed, float scale, cudaStream_t stream);
void fill_float(void* data, std::size_t count, unsigned seed, float scale, cudaStream_t stream);

/// ||a - b|| / ||b|| over FP16 values; NaN if any of `a` is. Synchronizes.
double relative_error_half(const void* a, const void* b, std::size_t count, cudaStream_t stream);

/// A kernel of `blocks` x 128 threads that reads and writes `floats_per_thread` of the buffer: what
/// a node costs that does almost nothing.
void launch_touch(float* data, int floats_per_thread, int blocks, bool overlapped,
                  cudaStream_t stream);

}  // namespace peregrine::bench
