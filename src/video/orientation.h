// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "peregrine/frame.h"

namespace peregrine::video {

/// One of the eight ways to turn or mirror a picture: first transposed (rows become columns), then
/// mirrored along x and y.
struct Orientation {
  bool transpose = false;
  bool flip_x = false;
  bool flip_y = false;
  bool is_upright() const { return !transpose && !flip_x && !flip_y; }
};

/// From a display matrix as in MP4 and libav (nine 16.16 numbers, row vectors): the nearest of the
/// eight orientations.
Orientation orientation_of(const std::int32_t* display_matrix);

/// How an upright plane is read out of a stored one: element (x, y) of `width` x `height` lies at
/// `origin + x * step_x + y * step_y`.
struct PlaneWalk {
  const std::uint8_t* origin = nullptr;
  std::int64_t step_x = 0, step_y = 0;  ///< bytes
  int width = 0, height = 0;
};
/// Of a plane of `width` x `height` (as stored) elements of `element_bytes`. Stride of either sign.
PlaneWalk walk_plane(const Orientation& orientation, Plane source, int width, int height,
                     int element_bytes);

/// Turns one plane of `width` x `height` (as stored) elements of `element_bytes` (1, 2 or 3) bytes
/// into `target`, which is height x width when transposed. Strides in bytes, of either sign.
void orient_plane(const Orientation& orientation, Plane source, int width, int height,
                  int element_bytes, std::uint8_t* target, std::int64_t target_stride);
/// The same for device memory and elements of 1, 2 or 4 bytes, on a CUDA stream (cudaStream_t).
/// Throws `Error(kGpu)`.
void orient_plane_on_gpu(const Orientation& orientation, Plane source, int width, int height,
                         int element_bytes, std::uint8_t* target, std::int64_t target_stride,
                         void* stream);

}  // namespace peregrine::video
