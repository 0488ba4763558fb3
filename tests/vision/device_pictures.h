// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>

#include "core/cuda/check.h"
#include "core/cuda/handles.h"
#include "peregrine/frame.h"

namespace peregrine::vision {

/// The same picture in the memory of GPU 0, same strides.
inline Frame on_device(const Frame& host) {
  Frame frame = host;
  frame.device = Device::cuda(0);
  const bool halved = host.format != PixelFormat::kYuv444p && plane_count(host.format) > 1;
  auto memory = std::make_shared<std::array<cuda::DeviceBuffer, 3>>();
  for (int p = 0; p < plane_count(host.format); ++p) {
    const auto i = static_cast<std::size_t>(p);
    const int rows = halved && p > 0 ? (host.info.height + 1) / 2 : host.info.height;
    const auto bytes = static_cast<std::size_t>(host.planes[i].stride * rows);
    (*memory)[i] = cuda::DeviceBuffer(bytes);
    CUDA_CHECK(cudaMemcpy((*memory)[i].data(), host.planes[i].data, bytes, cudaMemcpyHostToDevice));
    frame.planes[i].data = (*memory)[i].as<const std::uint8_t>();
  }
  CUDA_CHECK(cudaStreamSynchronize(nullptr));  // other streams do not wait for it
  frame.storage = memory;
  return frame;
}

}  // namespace peregrine::vision
