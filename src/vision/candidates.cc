// SPDX-License-Identifier: Apache-2.0
#include "vision/candidates.h"

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::vision {

CandidateFilter make_candidate_filter(const TaskSpec& spec, const DecodeOptions& options) {
  CandidateFilter filter;
  filter.confidence = options.confidence;
  if (options.classes.empty()) return filter;
  filter.allowed.assign(static_cast<std::size_t>(spec.class_count), 0);
  for (const int class_id : options.classes) {
    if (class_id < 0 || class_id >= spec.class_count) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("class {} is not one of the model's {} (0 to {})", class_id,
                              spec.class_count, spec.class_count - 1));
    }
    filter.allowed[static_cast<std::size_t>(class_id)] = 1;
  }
  return filter;
}

void Candidates::clear() {
  anchors.clear();
  scores.clear();
  classes.clear();
}

void Candidates::add(int anchor, float score, int class_id) {
  anchors.push_back(anchor);
  scores.push_back(score);
  classes.push_back(class_id);
}

}  // namespace peregrine::vision
