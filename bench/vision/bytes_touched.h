// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <set>

#include "vision/resample.h"

namespace peregrine::bench {

/// Bytes of the source rows that a bilinear resize looks at (whole rows of the region: a sector of
/// memory is wider than the steps between its columns), and of an output of `element_bytes` each.
inline std::size_t bytes_touched(const Frame& frame, const vision::ResampleJob& job,
                                 std::size_t element_bytes) {
  std::set<int> luma, chroma;
  for (int y = 0; y < job.resized_height; ++y) {
    if (y + job.top < 0 || y + job.top >= job.height) continue;
    const double at = std::clamp((y + 0.5) * job.region_height / job.resized_height - 0.5, 0.0,
                                 job.region_height - 1.0);
    const int low = static_cast<int>(at);
    luma.insert(job.region_y + low);
    if (at > low) luma.insert(job.region_y + low + 1);
  }
  const int last_chroma = (frame.info.height + 1) / 2 - 1;
  for (const int row : luma) {
    chroma.insert(row / 2);
    chroma.insert(std::clamp(row / 2 + (row % 2 == 0 ? -1 : 1), 0, last_chroma));
  }
  std::size_t samples = luma.size();  // of rows as wide as the region
  switch (frame.format) {
    case PixelFormat::kYuv420p:
    case PixelFormat::kNv12:
    case PixelFormat::kP010: samples += chroma.size(); break;  // U and V, each half as wide
    case PixelFormat::kYuv444p:
    case PixelFormat::kRgb24: samples *= 3; break;
    case PixelFormat::kGray8: break;
  }
  const std::size_t sample_bytes = frame.format == PixelFormat::kP010 ? 2 : 1;
  return samples * sample_bytes * static_cast<std::size_t>(job.region_width) +
         3 * element_bytes * static_cast<std::size_t>(job.width) *
             static_cast<std::size_t>(job.height);
}

}  // namespace peregrine::bench
