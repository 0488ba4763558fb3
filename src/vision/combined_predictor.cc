// SPDX-License-Identifier: Apache-2.0
#include "vision/combined_predictor.h"

#include <algorithm>
#include <exception>
#include <numeric>
#include <tuple>
#include <utility>

namespace peregrine::vision {
namespace {

constexpr float kSameObject = 0.5f;

// For each object of `extra` the one of `found` that it is, or -1; the closest boxes first.
std::vector<int> partners(const Detections& found, const Detections& extra) {
  std::vector<std::tuple<float, int, int>> close;
  for (int j = 0; j < static_cast<int>(extra.size()); ++j) {
    for (int i = 0; i < static_cast<int>(found.size()); ++i) {
      if (found.classes[static_cast<std::size_t>(i)] != extra.classes[static_cast<std::size_t>(j)])
        continue;
      const float overlap =
          iou(found.boxes[static_cast<std::size_t>(i)], extra.boxes[static_cast<std::size_t>(j)]);
      if (overlap >= kSameObject) close.emplace_back(-overlap, i, j);
    }
  }
  std::sort(close.begin(), close.end());
  std::vector<int> partner(extra.size(), -1);
  std::vector<bool> taken(found.size(), false);
  for (const auto& [overlap, i, j] : close) {
    if (taken[static_cast<std::size_t>(i)] || partner[static_cast<std::size_t>(j)] >= 0) continue;
    taken[static_cast<std::size_t>(i)] = true;
    partner[static_cast<std::size_t>(j)] = i;
  }
  return partner;
}

OrientedBox upright(const Box& box) {
  return {(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2, box.width(), box.height(), 0};
}

void merge_oriented(Detections& found, const Detections& extra, const std::vector<int>& at) {
  if (found.oriented.empty() && extra.oriented.empty()) return;
  for (std::size_t i = found.oriented.size(); i < found.size(); ++i)
    found.oriented.push_back(upright(found.boxes[i]));
  for (std::size_t j = 0; j < extra.oriented.size(); ++j)
    found.oriented[static_cast<std::size_t>(at[j])] = extra.oriented[j];
}

void merge_keypoints(Detections& found, const Detections& extra, const std::vector<int>& at) {
  if (found.keypoints_per_object == 0) found.keypoints_per_object = extra.keypoints_per_object;
  const auto count = static_cast<std::size_t>(found.keypoints_per_object);
  found.keypoints.resize(found.size() * count);
  if (extra.keypoints_per_object != found.keypoints_per_object) return;
  for (std::size_t j = 0; j < extra.size(); ++j) {
    const auto mine =
        std::span(found.keypoints).subspan(static_cast<std::size_t>(at[j]) * count, count);
    const bool has_some = std::any_of(mine.begin(), mine.end(),
                                      [](const Keypoint& point) { return point.score > 0; });
    const std::span<const Keypoint> its = extra.keypoints_of(j);
    if (!has_some) std::copy(its.begin(), its.end(), mine.begin());
  }
}

void merge_masks(Detections& found, Detections& extra, const std::vector<int>& at) {
  if (found.masks.empty() && extra.masks.empty()) return;
  found.masks.resize(found.size());
  for (std::size_t j = 0; j < extra.masks.size(); ++j) {
    const auto i = static_cast<std::size_t>(at[j]);
    if (!found.has_mask(i)) found.masks[i] = std::move(extra.masks[j]);
  }
}

void merge_detections(Detections& found, Detections extra) {
  const std::size_t before = found.size();
  std::vector<int> at = partners(found, extra);
  for (std::size_t j = 0; j < extra.size(); ++j) {
    if (at[j] >= 0) continue;
    at[j] = static_cast<int>(found.size());
    found.boxes.push_back(extra.boxes[j]);
    found.scores.push_back(extra.scores[j]);
    found.classes.push_back(extra.classes[j]);
  }
  merge_oriented(found, extra, at);
  merge_keypoints(found, extra, at);
  merge_masks(found, extra, at);
  if (found.size() == before) return;
  std::vector<int> order(found.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return found.scores[static_cast<std::size_t>(a)] > found.scores[static_cast<std::size_t>(b)];
  });
  found = found.select(order);
}

class CombinedPredictor final : public Predictor {
 public:
  CombinedPredictor(std::unique_ptr<Predictor> first, std::vector<Companion> others) {
    models_.push_back({std::move(first), {}});
    for (Companion& other : others) models_.push_back(std::move(other));
  }

  int max_batch() const override {
    int most = models_.front().predictor->max_batch();
    for (const Companion& model : models_) most = std::min(most, model.predictor->max_batch());
    return most;
  }

  void submit(std::span<const Frame> frames) override {
    check_batch(frames, max_batch(), in_flight_ > 0);
    answers_.resize(frames.size());
    for (std::size_t k = 0; k < models_.size(); ++k) {
      try {
        models_[k].predictor->submit(frames);
      } catch (...) {
        while (k-- > 0) give_up(*models_[k].predictor);
        throw;
      }
    }
    in_flight_ = frames.size();
  }

  PredictTimes collect(std::span<FrameResult> results) override {
    in_flight_ = 0;
    PredictTimes times;
    std::exception_ptr error;
    for (std::size_t k = 0; k < models_.size(); ++k) {
      const std::span<FrameResult> mine = k == 0 ? results : std::span(answers_);
      try {
        const PredictTimes one = models_[k].predictor->collect(mine);
        times.preprocess += one.preprocess;
        times.infer = std::max(times.infer, one.infer);  // all at once
        times.decode += one.decode;
        if (k == 0 || error) continue;
        for (std::size_t i = 0; i < results.size(); ++i)
          merge_answers(results[i], std::move(answers_[i]), models_[k].classes);
      } catch (...) {
        if (!error) error = std::current_exception();
      }
    }
    if (error) std::rethrow_exception(error);
    return times;
  }

 private:
  void give_up(Predictor& predictor) {
    try {
      predictor.collect(answers_);
    } catch (const std::exception&) {
      // What went wrong first is what is told.
    }
  }

  std::vector<Companion> models_;  // the first one's `classes` are its own
  std::vector<FrameResult> answers_;
  std::size_t in_flight_ = 0;
};

}  // namespace

std::vector<int> merge_labels(std::vector<std::string>& labels,
                              const std::vector<std::string>& more) {
  std::vector<int> classes;
  for (const std::string& name : more) {
    const auto known = std::find(labels.begin(), labels.end(), name);
    classes.push_back(static_cast<int>(known - labels.begin()));
    if (known == labels.end()) labels.push_back(name);
  }
  return classes;
}

void merge_answers(FrameResult& answer, FrameResult more, std::span<const int> classes) {
  const auto known_as = [&](int& own) {
    if (static_cast<std::size_t>(own) < classes.size())
      own = classes[static_cast<std::size_t>(own)];
  };
  for (int& each : more.detections.classes) known_as(each);
  for (ClassScore& each : more.classes) known_as(each.class_id);
  merge_detections(answer.detections, std::move(more.detections));
  if (answer.classes.empty()) answer.classes = std::move(more.classes);
  if (answer.embedding.empty()) answer.embedding = std::move(more.embedding);
  if (answer.depth.empty()) answer.depth = std::move(more.depth);
}

std::unique_ptr<Predictor> make_combined_predictor(std::unique_ptr<Predictor> first,
                                                   std::vector<Companion> others) {
  return std::make_unique<CombinedPredictor>(std::move(first), std::move(others));
}

}  // namespace peregrine::vision
