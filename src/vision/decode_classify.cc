// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/decoders.h"

namespace peregrine::vision {
namespace {

constexpr std::size_t kTop = 5;

// Outputs are probabilities already when each lies in [0, 1] and they sum to 1 (YOLO's classifiers
// end in softmax, torchvision's do not). Logits that look so by chance would need a sum of 1 within
// 0.001 without one negative among them.
bool are_probabilities(std::span<const float> scores) {
  double sum = 0;
  for (const float score : scores) {
    if (!(score >= 0 && score <= 1)) return false;
    sum += score;
  }
  return std::abs(sum - 1) < 1e-3;
}

class ClassifyDecoder final : public OutputDecoder {
 public:
  explicit ClassifyDecoder(const TaskSpec& spec) : spec_(spec) {}

  void decode(std::span<const TensorView> outputs, int item, const Letterbox&,
              FrameResult& result) override {
    const std::span<const float> scores = row_at(outputs, spec_.boxes_output, item);
    if (std::ssize(scores) != spec_.class_count) {
      throw Error(ErrorCode::kInvalidShape,
                  fmt::format("the model's output has {} scores for {} classes; supply the right "
                              "names with --labels FILE",
                              scores.size(), spec_.class_count));
    }
    order_.resize(scores.size());
    std::iota(order_.begin(), order_.end(), 0);
    const auto top = static_cast<std::ptrdiff_t>(std::min(kTop, order_.size()));
    const auto score_of = [&](int i) { return scores[static_cast<std::size_t>(i)]; };
    std::partial_sort(order_.begin(), order_.begin() + top, order_.end(), [&](int a, int b) {
      return score_of(a) != score_of(b) ? score_of(a) > score_of(b) : a < b;
    });
    double highest = 0, sum = 1;
    const bool softmax = !are_probabilities(scores);
    if (softmax && top > 0) {
      highest = score_of(order_[0]);
      sum = 0;
      for (const float score : scores) sum += std::exp(score - highest);
    }
    result.classes.clear();
    for (std::ptrdiff_t i = 0; i < top; ++i) {
      const int id = order_[static_cast<std::size_t>(i)];
      const double score = softmax ? std::exp(score_of(id) - highest) / sum : score_of(id);
      result.classes.push_back({id, static_cast<float>(score)});
    }
  }

 private:
  const TaskSpec spec_;
  std::vector<int> order_;
};

}  // namespace

std::unique_ptr<OutputDecoder> make_classify_decoder(const TaskSpec& spec) {
  return std::make_unique<ClassifyDecoder>(spec);
}

}  // namespace peregrine::vision
