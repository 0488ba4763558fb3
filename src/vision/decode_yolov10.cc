// SPDX-License-Identifier: Apache-2.0
#include "vision/candidates.h"

namespace peregrine::vision {

void collect_yolov10(const RawBoxes& raw, int class_count, const CandidateFilter& filter,
                     Candidates& out) {
  out.clear();
  for (int row = 0; row < raw.anchors; ++row) {
    const float score = raw.at(row, 4);
    const float class_value = raw.at(row, 5);
    if (!(score > filter.confidence)) continue;
    if (!(class_value >= 0 && class_value < static_cast<float>(class_count))) continue;
    const int class_id = static_cast<int>(class_value);
    if (filter.allows(class_id)) out.add(row, score, class_id);
  }
}

}  // namespace peregrine::vision
