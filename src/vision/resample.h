// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "peregrine/frame.h"

namespace peregrine::vision {

/// One resize of part of a frame into a window: what `preprocess` and `preprocess_crop` boil down
/// to.
struct ResampleJob {
  int region_x = 0, region_y = 0, region_width = 0,
      region_height = 0;                      ///< of the source, inside it
  int resized_width = 0, resized_height = 0;  ///< the region is stretched to this size
  int left = 0, top = 0;      ///< where it lies in the output; negative: its edge is cut off
  int width = 0, height = 0;  ///< of the output
  float scale[3] = {1, 1, 1}, bias[3] = {};  ///< R G B: output = level (0 to 255) * scale + bias
  float padding[3] = {};                     ///< R G B outside the resized region, in output units
};

/// Instruction sets that `resample` is compiled for.
enum class Simd { kPortable, kAvx2 };
/// The best one that this CPU runs.
Simd best_simd();

/// Colour conversion, bilinear resize (pixel centres at half-integers; the region's edge pixels
/// extend outwards), padding and normalisation of a host frame into planar RGB [3, height, width].
///
/// Chroma of 4:2:0 is interpolated bilinearly with its samples in the centre of their 2x2 pixels,
/// as in JPEG (which the models were trained on) and in OpenCV's decoders; H.264's left siting
/// would move it by half a pixel of luma. Each pixel becomes RGB, clamped to 0 to 255, before it is
/// resized: the order of cv2.resize on a decoded picture.
///
/// Every instruction set gives the same bits on x86-64. Scratch is kept per thread: no allocation
/// after the first call of a size.
void resample(const Frame& frame, const ResampleJob& job, float* out, Simd simd);

}  // namespace peregrine::vision
