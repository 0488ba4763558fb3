// SPDX-License-Identifier: Apache-2.0
#include "video/host_planes.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "core/cuda/check.h"

namespace peregrine::testing {
namespace {

std::vector<std::uint8_t> rows_of(const Frame& frame, std::size_t plane, std::size_t row_bytes,
                                  std::size_t rows) {
  std::vector<std::uint8_t> bytes(row_bytes * rows);
  const Plane& from = frame.planes[plane];
  if (frame.device.is_cpu()) {
    for (std::size_t y = 0; y < rows; ++y) {
      const std::uint8_t* row = from.data + static_cast<std::int64_t>(y) * from.stride;
      std::copy_n(row, row_bytes, bytes.data() + y * row_bytes);
    }
    return bytes;
  }
  CUDA_CHECK(cudaMemcpy2D(bytes.data(), row_bytes, from.data, static_cast<std::size_t>(from.stride),
                          row_bytes, rows, cudaMemcpyDeviceToHost));
  return bytes;
}

// Every `step`th sample from `first` on.
std::vector<std::uint8_t> every(const std::vector<std::uint8_t>& bytes, std::size_t first,
                                std::size_t step) {
  std::vector<std::uint8_t> samples;
  samples.reserve(bytes.size() / step);
  for (std::size_t i = first; i < bytes.size(); i += step) samples.push_back(bytes[i]);
  return samples;
}

// Little-endian words with their value in the high bits.
std::vector<std::uint8_t> rounded(const std::vector<std::uint8_t>& words) {
  std::vector<std::uint8_t> samples;
  samples.reserve(words.size() / 2);
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    const int value = ((words[i] | words[i + 1] << 8) + 128) >> 8;
    samples.push_back(static_cast<std::uint8_t>(std::min(value, 255)));
  }
  return samples;
}

}  // namespace

HostPlanes host_planes(const Frame& frame) {
  if (frame.ready != nullptr) {
    CUDA_CHECK(cudaEventSynchronize(static_cast<cudaEvent_t>(frame.ready)));
  }
  const bool full = frame.format == PixelFormat::kYuv444p;
  HostPlanes planes;
  planes.width = frame.info.width;
  planes.height = frame.info.height;
  planes.chroma_width = full ? planes.width : (planes.width + 1) / 2;
  planes.chroma_height = full ? planes.height : (planes.height + 1) / 2;
  const auto width = static_cast<std::size_t>(planes.width);
  const auto height = static_cast<std::size_t>(planes.height);
  const auto columns = static_cast<std::size_t>(planes.chroma_width);
  const auto rows = static_cast<std::size_t>(planes.chroma_height);
  switch (frame.format) {
    case PixelFormat::kYuv420p:
    case PixelFormat::kYuv444p:
      planes.samples = {rows_of(frame, 0, width, height), rows_of(frame, 1, columns, rows),
                        rows_of(frame, 2, columns, rows)};
      return planes;
    case PixelFormat::kNv12:
    case PixelFormat::kP010: {
      const bool deep = frame.format == PixelFormat::kP010;
      auto luma = rows_of(frame, 0, width * (deep ? 2 : 1), height);
      auto chroma = rows_of(frame, 1, 2 * columns * (deep ? 2 : 1), rows);
      if (deep) {
        luma = rounded(luma);
        chroma = rounded(chroma);
      }
      planes.samples = {std::move(luma), every(chroma, 0, 2), every(chroma, 1, 2)};
      return planes;
    }
    default: throw std::runtime_error("no planes of luma and chroma");
  }
}

std::string difference(const HostPlanes& a, const HostPlanes& b, int tolerance) {
  if (a.width != b.width || a.height != b.height) {
    return fmt::format("{}x{} and {}x{}", a.width, a.height, b.width, b.height);
  }
  for (std::size_t p = 0; p < 3; ++p) {
    if (a.samples[p].size() != b.samples[p].size()) return fmt::format("plane {}: sizes differ", p);
    int worst = 0;
    std::size_t at = 0, wrong = 0;
    for (std::size_t i = 0; i < a.samples[p].size(); ++i) {
      const int apart = std::abs(a.samples[p][i] - b.samples[p][i]);
      wrong += apart > tolerance ? 1 : 0;
      if (apart <= worst) continue;
      worst = apart;
      at = i;
    }
    if (worst <= tolerance) continue;
    const auto width = static_cast<std::size_t>(p == 0 ? a.width : a.chroma_width);
    return fmt::format("plane {}: {} samples of {} differ by more than {}, by {} at ({}, {})", p,
                       wrong, a.samples[p].size(), tolerance, worst, at % width, at / width);
  }
  return {};
}

}  // namespace peregrine::testing
