// SPDX-License-Identifier: Apache-2.0
#include "vision/box_tasks.h"

#include <algorithm>

namespace peregrine::vision {

void append_keypoints(const RawBoxes& raw, int anchor, int first_channel, const TaskSpec& spec,
                      const Letterbox& letterbox, std::vector<Keypoint>& out) {
  for (int k = 0; k < spec.keypoint_count; ++k) {
    const int channel = first_channel + k * spec.keypoint_values;
    Keypoint point{raw.at(anchor, channel), raw.at(anchor, channel + 1), 1.0f};
    if (spec.keypoint_values == 3) point.score = raw.at(anchor, channel + 2);
    letterbox.point_to_source(point.x, point.y);
    point.x = std::clamp(point.x, 0.0f, static_cast<float>(letterbox.source_width));
    point.y = std::clamp(point.y, 0.0f, static_cast<float>(letterbox.source_height));
    out.push_back(point);
  }
}

}  // namespace peregrine::vision
