// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vision/output_decoder.h"

namespace peregrine::vision {

/// One picture's raw detector output, whichever way round it lies. Never owns.
struct RawBoxes {
  const float* data = nullptr;
  int anchors = 0;
  int channels = 0;
  std::ptrdiff_t anchor_stride = 0, channel_stride = 0;  ///< in floats

  constexpr float at(int anchor, int channel) const {
    return data[anchor * anchor_stride + channel * channel_stride];
  }
};

/// Which anchors become candidates: score above `confidence`, best class among the allowed.
struct CandidateFilter {
  float confidence = 0.25f;
  std::vector<std::uint8_t> allowed;  ///< by class; empty allows all

  bool allows(int class_id) const {
    return allowed.empty() || (static_cast<std::size_t>(class_id) < allowed.size() &&
                               allowed[static_cast<std::size_t>(class_id)] != 0);
  }
};

/// The filter that `options` ask for. Throws `Error(kInvalidArgument)` for a class that the model
/// does not have.
CandidateFilter make_candidate_filter(const TaskSpec& spec, const DecodeOptions& options);

/// Anchors that passed the filter, in rising order of anchor: structure of arrays. An anchor counts
/// once, with its best class (the lowest of equals).
struct Candidates {
  std::vector<int> anchors;
  std::vector<float> scores;
  std::vector<int> classes;

  std::size_t size() const { return anchors.size(); }
  void clear();
  void add(int anchor, float score, int class_id);
};

/// cx cy w h, then `class_count` scores; channels outermost.
void collect_yolov8(const RawBoxes& raw, int class_count, const CandidateFilter& filter,
                    Candidates& out);
/// cx cy w h objectness, then `class_count` scores that objectness multiplies; anchors outermost.
void collect_yolov5(const RawBoxes& raw, int class_count, const CandidateFilter& filter,
                    Candidates& out);
/// Box, score, class; one row an object that the graph has kept, best first or not. Rows whose
/// class is not in [0, class_count) are padding.
void collect_yolov10(const RawBoxes& raw, int class_count, const CandidateFilter& filter,
                     Candidates& out);

}  // namespace peregrine::vision
