// SPDX-License-Identifier: Apache-2.0
#include "vision/box_layout.h"

#include <limits>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::vision {

BoxLayout box_layout(const TaskSpec& spec) {
  // Channels before the task's own: box, then scores (and objectness), or score and class.
  const int scores = spec.head == Head::kYoloV10  ? 2
                     : spec.head == Head::kYoloV5 ? 1 + spec.class_count
                                                  : spec.class_count;
  BoxLayout layout;
  layout.channels_first = spec.head == Head::kYoloV8;
  layout.format = spec.head == Head::kYoloV10 ? BoxFormat::kCorners : BoxFormat::kCentred;
  layout.extra_channel = 4 + scores;
  layout.channels = layout.extra_channel + (spec.task == Task::kObb       ? 1
                                            : spec.task == Task::kSegment ? spec.mask_coefficients
                                            : spec.task == Task::kPose
                                                ? spec.keypoint_count * spec.keypoint_values
                                                : 0);
  return layout;
}

RawBoxes raw_boxes(const TaskSpec& spec, const BoxLayout& layout, const float* data,
                   const Shape& shape) {
  const std::int64_t channels = shape[layout.channels_first ? 1 : 2];
  const std::int64_t anchors = shape[layout.channels_first ? 2 : 1];
  if (channels != layout.channels) {
    throw Error(
        ErrorCode::kInvalidShape,
        fmt::format("the model's output {} has {} channels where task {} with {} classes has {}; "
                    "name the right task with --task or the right classes with --labels",
                    to_string(shape), channels, to_string(spec.task), spec.class_count,
                    layout.channels));
  }
  RawBoxes raw;
  raw.data = data;
  raw.anchors = static_cast<int>(anchors);
  raw.channels = static_cast<int>(channels);
  raw.anchor_stride = layout.channels_first ? 1 : channels;
  raw.channel_stride = layout.channels_first ? anchors : 1;
  return raw;
}

void check_prototypes(const TaskSpec& spec, const Shape& shape) {
  if (shape[1] == spec.mask_coefficients && shape[1] > 0 && shape[2] > 0 && shape[3] > 0) return;
  throw Error(ErrorCode::kInvalidShape,
              fmt::format("the model's mask prototypes {} do not go with {} coefficients",
                          to_string(shape), spec.mask_coefficients));
}

float suppression_threshold(const TaskSpec& spec, const DecodeOptions& options) {
  constexpr float kNever = std::numeric_limits<float>::infinity();
  return spec.head == Head::kYoloV10 ? kNever : options.iou;
}

}  // namespace peregrine::vision
