// SPDX-License-Identifier: Apache-2.0
#include "peregrine/task.h"

namespace peregrine {

const char* to_string(Task task) {
  switch (task) {
    case Task::kDetect: return "detect";
    case Task::kSegment: return "segment";
    case Task::kPose: return "pose";
    case Task::kObb: return "obb";
    case Task::kClassify: return "classify";
    case Task::kEmbed: return "embed";
    case Task::kDepth: return "depth";
  }
  return "?";
}

}  // namespace peregrine
