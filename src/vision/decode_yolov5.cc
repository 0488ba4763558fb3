// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "vision/candidates.h"

namespace peregrine::vision {

void collect_yolov5(const RawBoxes& raw, int class_count, const CandidateFilter& filter,
                    Candidates& out) {
  out.clear();
  for (int anchor = 0; anchor < raw.anchors; ++anchor) {
    const float* row = raw.data + anchor * raw.anchor_stride;
    const float objectness = row[4];
    if (!(objectness > filter.confidence)) continue;
    const float* best = std::max_element(row + 5, row + 5 + class_count);
    const float score = objectness * *best;
    const auto class_id = static_cast<int>(best - (row + 5));
    if (score > filter.confidence && filter.allows(class_id)) out.add(anchor, score, class_id);
  }
}

}  // namespace peregrine::vision
