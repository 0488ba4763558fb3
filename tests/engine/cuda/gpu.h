// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <cuda_fp16.h>
#include <gtest/gtest.h>

#include "core/cuda/check.h"
#include "core/cuda/device_info.h"
#include "core/cuda/handles.h"

namespace peregrine::testing {

/// Skips the running test, visibly, on a machine without a GPU.
#define PEREGRINE_NEEDS_GPU()                                        \
  if (std::string why_; ::peregrine::cuda::device_count(&why_) == 0) \
  GTEST_SKIP() << "needs a GPU: " << why_

/// Values in [-1, 1) * scale, rounded to FP16, so that host and device compute from the same
/// numbers.
inline std::vector<float> random_halves(std::size_t count, unsigned seed, float scale = 1.0f) {
  std::mt19937 generator(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    value = (static_cast<float>(generator() >> 8) / 8388608.0f - 1.0f) * scale;
    value = __half2float(__float2half_rn(value));
  }
  return values;
}

template <typename T>
cuda::DeviceBuffer to_device(const std::vector<T>& values) {
  cuda::DeviceBuffer buffer(values.size() * sizeof(T));
  CUDA_CHECK(cudaMemcpy(buffer.data(), values.data(), buffer.bytes(), cudaMemcpyHostToDevice));
  CUDA_CHECK(cudaStreamSynchronize(nullptr));  // other streams do not wait for it
  return buffer;
}
inline cuda::DeviceBuffer to_device_half(const std::vector<float>& values) {
  std::vector<__half> halves(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) halves[i] = __float2half_rn(values[i]);
  return to_device(halves);
}

/// Everything that a test writes starts as NaN, so that an element nobody wrote shows.
inline void poison(const cuda::DeviceBuffer& buffer) {
  CUDA_CHECK(cudaMemset(buffer.data(), 0xff, buffer.bytes()));
  CUDA_CHECK(cudaStreamSynchronize(nullptr));  // other streams do not wait for it
}

template <typename T>
std::vector<T> to_host(const cuda::DeviceBuffer& buffer) {
  std::vector<T> values(buffer.bytes() / sizeof(T));
  CUDA_CHECK(cudaMemcpy(values.data(), buffer.data(), buffer.bytes(), cudaMemcpyDeviceToHost));
  return values;
}
inline std::vector<float> to_host_from_half(const cuda::DeviceBuffer& buffer) {
  const std::vector<__half> halves = to_host<__half>(buffer);
  std::vector<float> values(halves.size());
  for (std::size_t i = 0; i < halves.size(); ++i) values[i] = __half2float(halves[i]);
  return values;
}

/// ||a - b|| / ||b||; NaN where any element is.
inline double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    norm += double(b[i]) * b[i];
  }
  return std::sqrt(difference / norm);
}

}  // namespace peregrine::testing
