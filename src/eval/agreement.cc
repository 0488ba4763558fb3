// SPDX-License-Identifier: Apache-2.0
#include "eval/agreement.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "eval/output_difference.h"
#include "eval/similarity.h"

namespace peregrine::eval {
namespace {

double mask_iou(const Mask& a, const Mask& b) {
  const auto area = [](const Mask& mask) {
    double pixels = 0;
    for (std::size_t i = 1; i < mask.counts.size(); i += 2) pixels += mask.counts[i];
    return pixels;
  };
  const double shared = shared_pixels(a, b);
  const double all = area(a) + area(b) - shared;
  return all > 0 ? shared / all : 1;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return 0;
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += double(a[i]) * b[i];
    aa += double(a[i]) * a[i];
    bb += double(b[i]) * b[i];
  }
  return aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : (aa == bb ? 1 : 0);
}

// Pearson's, over the cells: scale and offset of relative depth mean nothing. As bad as can be for
// maps of other sizes, or with cells that are not finite.
double depth_correlation(const DepthMap& a, const DepthMap& b) {
  if (a.width != b.width || a.height != b.height) return -1;
  const auto view = [](const DepthMap& map) {
    return TensorView(const_cast<float*>(map.values.data()), DType::kFloat32,
                      {map.height, map.width});
  };
  OutputDifference difference("depth");
  difference.add(view(a), view(b));
  const double correlation = difference.correlation();
  return std::isfinite(correlation) ? correlation : -1;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 1;
}

}  // namespace

void Agreement::add(const FrameResult& actual, const FrameResult& expected) {
  ++pictures_;
  add_objects(actual.detections, expected.detections);
  if (!expected.classes.empty()) {
    ++classified_;
    same_class_ +=
        !actual.classes.empty() && actual.classes[0].class_id == expected.classes[0].class_id;
  }
  if (!expected.embedding.empty()) {
    ++embeddings_;
    worst_cosine_ = std::min(worst_cosine_, cosine(actual.embedding, expected.embedding));
  }
  if (!expected.depth.empty()) {
    ++depths_;
    worst_depth_ = std::min(worst_depth_, depth_correlation(actual.depth, expected.depth));
  }
}

// By falling score, each object takes the free one of its class that overlaps it most.
void Agreement::add_objects(const Detections& actual, const Detections& expected) {
  std::vector<bool> taken(actual.size(), false);
  for (std::size_t j = 0; j < expected.size(); ++j) {
    const bool asked = expected.scores[j] >= limits_.score;
    std::size_t best = actual.size();
    float overlap = static_cast<float>(limits_.box_iou);
    for (std::size_t i = 0; i < actual.size(); ++i) {
      if (taken[i] || actual.classes[i] != expected.classes[j]) continue;
      const float found = iou(actual.boxes[i], expected.boxes[j]);
      if (found < overlap) continue;
      overlap = found;
      best = i;
    }
    expected_ += asked;
    if (best == actual.size()) continue;
    taken[best] = true;
    const bool counts_back = actual.scores[best] >= limits_.score;
    const double difference = std::abs(double(actual.scores[best]) - expected.scores[j]);
    const bool close = difference <= limits_.score_difference;
    expected_matched_ += asked && close;
    actual_matched_ += counts_back && close;
    if (asked) {
      worst_score_ = std::max(worst_score_, difference);
      compare(actual, best, expected, j);
    }
  }
  for (const float score : actual.scores) actual_ += score >= limits_.score;
}

void Agreement::compare(const Detections& actual, std::size_t i, const Detections& expected,
                        std::size_t j) {
  if (!expected.masks.empty() && !actual.masks.empty()) {
    ++masks_;
    worst_mask_ = std::min(worst_mask_, mask_iou(actual.masks[i], expected.masks[j]));
  }
  const auto expected_points = expected.keypoints_of(j), actual_points = actual.keypoints_of(i);
  for (std::size_t k = 0; k < std::min(expected_points.size(), actual_points.size()); ++k) {
    if (expected_points[k].score < 0.5f) continue;  // unseen: its place is a guess on both sides
    ++keypoints_;
    keypoint_distance_ += std::hypot(double(actual_points[k].x) - expected_points[k].x,
                                     double(actual_points[k].y) - expected_points[k].y);
  }
}

std::vector<Agreement::Measure> Agreement::measures() const {
  std::vector<Measure> measures;
  const auto at_least = [&](std::string name, double value, double limit, std::string detail) {
    measures.push_back({std::move(name), value, limit, value >= limit, std::move(detail)});
  };
  if (expected_ + actual_ > 0) {
    at_least(fmt::format("reference's objects found (IoU {}, score within {})", limits_.box_iou,
                         limits_.score_difference),
             share(expected_matched_, expected_), limits_.matched,
             fmt::format("{} of {}; largest score difference {:.4f}", expected_matched_, expected_,
                         worst_score_));
    at_least("objects that the reference has too", share(actual_matched_, actual_), limits_.matched,
             fmt::format("{} of {}", actual_matched_, actual_));
  }
  if (masks_ > 0) {
    at_least("worst mask IoU", worst_mask_, limits_.mask_iou, fmt::format("{} masks", masks_));
  }
  if (keypoints_ > 0) {
    const double mean = keypoint_distance_ / static_cast<double>(keypoints_);
    measures.push_back({"mean keypoint distance in pixels", mean, limits_.keypoint_pixels,
                        mean <= limits_.keypoint_pixels, fmt::format("{} points", keypoints_)});
  }
  if (classified_ > 0) {
    at_least("same first class", share(same_class_, classified_), limits_.matched,
             fmt::format("{} of {} pictures", same_class_, classified_));
  }
  if (embeddings_ > 0) {
    at_least("worst embedding cosine", worst_cosine_, limits_.cosine,
             fmt::format("{} pictures", embeddings_));
  }
  if (depths_ > 0) {
    at_least("worst depth correlation", worst_depth_, limits_.depth_correlation,
             fmt::format("{} pictures", depths_));
  }
  return measures;
}

}  // namespace peregrine::eval
