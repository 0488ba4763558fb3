// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "peregrine/frame.h"

namespace peregrine::output {

/// A host picture of one colour, given as its components in `format`, with padded rows as decoders
/// make them.
inline Frame plain_picture(int width, int height, PixelFormat format, std::uint8_t first,
                           std::uint8_t second = 128, std::uint8_t third = 128) {
  constexpr int kPadding = 32;
  const int half_width = (width + 1) / 2, half_height = (height + 1) / 2;
  const std::uint8_t values[] = {first, second, third};
  auto memory = std::make_shared<std::vector<std::uint8_t>>();
  Frame frame;
  frame.info.width = width;
  frame.info.height = height;
  frame.format = format;
  struct Size {
    int row, rows;
  };
  std::vector<Size> sizes;
  switch (format) {
    case PixelFormat::kRgb24: sizes = {{3 * width, height}}; break;
    case PixelFormat::kGray8: sizes = {{width, height}}; break;
    case PixelFormat::kNv12: sizes = {{width, height}, {2 * half_width, half_height}}; break;
    case PixelFormat::kYuv444p: sizes = {{width, height}, {width, height}, {width, height}}; break;
    default: sizes = {{width, height}, {half_width, half_height}, {half_width, half_height}}; break;
  }
  std::vector<std::size_t> offsets;
  for (std::size_t plane = 0; plane < sizes.size(); ++plane) {
    offsets.push_back(memory->size());
    for (int y = 0; y < sizes[plane].rows; ++y) {
      for (int x = 0; x < sizes[plane].row; ++x) {
        std::size_t component = plane;
        if (format == PixelFormat::kRgb24) component = static_cast<std::size_t>(x % 3);
        if (format == PixelFormat::kNv12 && plane == 1)
          component = 1 + static_cast<std::size_t>(x % 2);
        memory->push_back(values[component]);
      }
      memory->insert(memory->end(), kPadding, 0);
    }
  }
  for (std::size_t plane = 0; plane < sizes.size(); ++plane) {
    frame.planes[plane] = {memory->data() + offsets[plane], sizes[plane].row + kPadding};
  }
  frame.storage = memory;
  return frame;
}

/// The byte of `plane` at (column, row).
inline int sample(const Frame& frame, std::size_t plane, int column, int row) {
  return frame.planes[plane].data[row * frame.planes[plane].stride + column];
}

}  // namespace peregrine::output
