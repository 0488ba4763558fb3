// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>

#include "vision/candidates.h"

namespace peregrine::vision {

namespace {

constexpr int kBlock = 256;  // anchors at a time: 80 classes of them stay in the L2 cache

// The anchors [first, first + count) of channel rows 4 and up.
struct ScoreBlock {
  const float* scores;
  std::ptrdiff_t stride;
  int count;
  int classes;
};

void best_scores(const ScoreBlock& block, std::array<float, kBlock>& best) {
  best.fill(-std::numeric_limits<float>::infinity());
  for (int c = 0; c < block.classes; ++c) {
    const float* row = block.scores + c * block.stride;
    for (int i = 0; i < block.count; ++i) best[i] = row[i] > best[i] ? row[i] : best[i];
  }
}

// First class that reaches the best score: of the whole block, where many anchors pass ...
void best_classes(const ScoreBlock& block, const std::array<float, kBlock>& best,
                  std::array<int, kBlock>& classes) {
  for (int c = block.classes - 1; c >= 0; --c) {
    const float* row = block.scores + c * block.stride;
    for (int i = 0; i < block.count; ++i) classes[i] = row[i] == best[i] ? c : classes[i];
  }
}

// ... and of a single anchor, the usual case.
int best_class(const ScoreBlock& block, int anchor, float best) {
  int c = 0;
  while (block.scores[c * block.stride + anchor] != best) ++c;
  return c;
}

}  // namespace

void collect_yolov8(const RawBoxes& raw, int class_count, const CandidateFilter& filter,
                    Candidates& out) {
  std::array<float, kBlock> best;
  std::array<int, kBlock> classes{};
  out.clear();
  for (int first = 0; first < raw.anchors; first += kBlock) {
    const ScoreBlock block{raw.data + 4 * raw.channel_stride + first, raw.channel_stride,
                           std::min(kBlock, raw.anchors - first), class_count};
    best_scores(block, best);
    int passing = 0;
    for (int i = 0; i < block.count; ++i) passing += best[i] > filter.confidence;
    if (passing == 0) continue;
    const bool many = passing > kBlock / 16;
    if (many) best_classes(block, best, classes);
    for (int i = 0; i < block.count; ++i) {
      if (!(best[i] > filter.confidence)) continue;
      const int class_id = many ? classes[i] : best_class(block, i, best[i]);
      if (filter.allows(class_id)) out.add(first + i, best[i], class_id);
    }
  }
}

}  // namespace peregrine::vision
