// SPDX-License-Identifier: Apache-2.0
// Models whose inner lengths depend on the picture, as exporters write detectors with suppression.
#pragma once

#include "model/model_builder.h"

namespace peregrine::testing {

/// x [1, 6, 40]: boxes (two opposite corners) and scores of two classes. As Ultralytics exports
/// with nms=True: what is above a confidence, suppressed by class, ten rows [x1, y1, x2, y2, score,
/// class] filled up with zeros. Output "y" [1, 10, 6].
ModelBuilder padded_detector();

/// The same x. As YOLOv5 and v7 export for ONNX Runtime: a row for each box that is kept, [image,
/// corners, class, score]. Output "y" [at most 80, 7].
ModelBuilder listed_detector();

/// Boxes whose overlaps are many; `count` of them in a picture [1, 6, count].
Tensor crowded_boxes(std::int64_t count, unsigned seed);

}  // namespace peregrine::testing
