// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vision/box_tasks.h"
#include "vision/candidates.h"
#include "vision/output_decoder.h"

namespace peregrine::vision {

/// Where a box head's output [batch, ...] holds what.
struct BoxLayout {
  bool channels_first = true;  ///< [channels, anchors] or [anchors, channels]
  BoxFormat format = BoxFormat::kCentred;
  int channels = 0;
  int extra_channel = 0;  ///< first that belongs to the task: coefficients, keypoints, angle
};
BoxLayout box_layout(const TaskSpec& spec);

/// Picture 0 of an output of that shape; picture i lies `channels * anchors` floats further for
/// each. Throws `Error(kInvalidShape)` when the channels are not what the task has.
RawBoxes raw_boxes(const TaskSpec& spec, const BoxLayout& layout, const float* data,
                   const Shape& shape);
/// Throws `Error(kInvalidShape)` when [batch, count, height, width] does not go with the task.
void check_prototypes(const TaskSpec& spec, const Shape& shape);

/// What the graph has suppressed itself is only put in order: nothing overlaps too much.
float suppression_threshold(const TaskSpec& spec, const DecodeOptions& options);

}  // namespace peregrine::vision
