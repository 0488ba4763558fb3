// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vision/candidates.h"
#include "vision/letterbox.h"

namespace peregrine::vision {

/// Pose: the keypoints of `anchor`, from `first_channel` on, in source pixels and clipped to the
/// source. Points without a score of their own get 1.
void append_keypoints(const RawBoxes& raw, int anchor, int first_channel, const TaskSpec& spec,
                      const Letterbox& letterbox, std::vector<Keypoint>& out);

/// Oriented boxes: cx cy w h and an angle in radians, in model input pixels.
OrientedBox read_oriented(const RawBoxes& raw, int anchor, int angle_channel);
/// In source pixels, the angle in [-pi/4, 3pi/4).
OrientedBox to_source(const OrientedBox& box, const Letterbox& letterbox);
/// The upright box around it, clipped to the source.
Box enclosing_box(const OrientedBox& box, const Letterbox& letterbox);

}  // namespace peregrine::vision
