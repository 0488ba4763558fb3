// SPDX-License-Identifier: Apache-2.0
// Several models on the same frames, one answer: what one finds and others add to it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vision/predictor.h"

namespace peregrine::vision {

/// Where each of `more` stands in `labels`; names that are not there yet are appended.
std::vector<int> merge_labels(std::vector<std::string>& labels,
                              const std::vector<std::string>& more);

/// Adds what another model said of the same frame; `classes` gives for each of its classes the one
/// it is in `answer`. An object that overlaps with one of `answer`, of the same class, by an IoU of
/// at least a half is the same object: its keypoints and its mask go there, where there are none.
/// All others are added, by falling score. What one model says of an object and the other does not
/// is empty: an oriented box is the upright one, keypoints have score 0, a mask has width 0. The
/// picture's classes, embedding and depth are taken where `answer` has none.
void merge_answers(FrameResult& answer, FrameResult more, std::span<const int> classes);

/// A further model, and which of the merged labels each of its classes is.
struct Companion {
  std::unique_ptr<Predictor> predictor;
  std::vector<int> classes;
};

/// All predictors on each batch, their answers merged into the first one's. The engines' work is
/// started for all before any is waited for. A batch is what the smallest of them takes.
std::unique_ptr<Predictor> make_combined_predictor(std::unique_ptr<Predictor> first,
                                                   std::vector<Companion> others);

}  // namespace peregrine::vision
