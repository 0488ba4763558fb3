// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "peregrine/detections.h"
#include "vision/resample.h"
#include "vision/task_spec.h"

namespace peregrine::vision {

/// The map from model input pixels back to source pixels: source = (input - pad) / scale.
struct Letterbox {
  /// Resized size / source size of each side: equal but for the rounding of the resized size to
  /// whole pixels, unless the fit is kStretch.
  float scale_x = 1, scale_y = 1;
  float pad_x = 0, pad_y = 0;  ///< pixels of the input left of and above the picture; negative
                               ///< where kCenterCrop cuts it
  int source_width = 0, source_height = 0;

  // In the header, and constexpr, for device code too.
  constexpr void point_to_source(float& x, float& y) const {
    x = (x - pad_x) / scale_x;
    y = (y - pad_y) / scale_y;
  }
  /// Clipped to the source.
  constexpr Box to_source(const Box& box) const {
    Box out = box;
    point_to_source(out.x1, out.y1);
    point_to_source(out.x2, out.y2);
    const auto right = static_cast<float>(source_width), bottom = static_cast<float>(source_height);
    return {std::clamp(out.x1, 0.0f, right), std::clamp(out.y1, 0.0f, bottom),
            std::clamp(out.x2, 0.0f, right), std::clamp(out.y2, 0.0f, bottom)};
  }
};

/// What becomes of a `source_width` x `source_height` picture, on every device: its place in the
/// model's input as the models were trained (scaled size rounded to whole pixels, centred, odd
/// padding split as round(pad - 0.1) before), and the input's normalisation. Throws
/// `Error(kInvalidArgument)` for a size of 0.
ResampleJob picture_job(int source_width, int source_height, const InputSpec& input);

/// The same for the part of it inside `crop` (source pixels, clipped, at least one pixel),
/// stretched to the whole input: how ReID crops are cut.
ResampleJob crop_job(int source_width, int source_height, const Box& crop, const InputSpec& input);

/// The map that a `picture_job` amounts to.
Letterbox letterbox_of(const ResampleJob& job);

/// `letterbox_of(picture_job(...))`.
Letterbox place(int source_width, int source_height, const InputSpec& input);

/// Colour conversion, bilinear resize (pixel centres at half-integers, no antialiasing: OpenCV's
/// INTER_LINEAR), padding and normalisation in one pass from a host frame of any host
/// `PixelFormat`. Writes planar RGB float32 [3, height, width] at `out`. The same pixels as the
/// double-precision reference within 1/255 + rounding. Throws `Error(kInvalidArgument)` for a
/// device frame.
Letterbox preprocess(const Frame& frame, const InputSpec& input, float* out);

/// The same for the part of the frame inside `crop`, as `crop_job` cuts it.
void preprocess_crop(const Frame& frame, const Box& crop, const InputSpec& input, float* out);

}  // namespace peregrine::vision
