// SPDX-License-Identifier: Apache-2.0
// DETR and its family: a set of queries, each an object or none. Nothing is suppressed: the network
// was trained to answer once an object.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/candidates.h"
#include "vision/decoders.h"
#include "vision/nms.h"

namespace peregrine::vision {
namespace {

// One picture's queries. Never owns.
struct Queries {
  int count = 0;
  int columns = 0;  // class scores or logits of one query, "no object" among them
  const float* scores = nullptr;
  const float* boxes = nullptr;  // cx cy w h, 0 to 1 of the input
  std::ptrdiff_t score_stride = 0, box_stride = 0;

  std::span<const float> scores_of(int query) const {
    return {scores + query * score_stride, static_cast<std::size_t>(columns)};
  }
};

// The surest class that is one; its probability among all logits, "no object" the last of them.
void collect_softmax(const Queries& queries, const CandidateFilter& filter, Candidates& out) {
  for (int query = 0; query < queries.count; ++query) {
    const std::span<const float> logits = queries.scores_of(query);
    const float highest = *std::max_element(logits.begin(), logits.end());
    float sum = 0;
    for (const float logit : logits) sum += std::exp(logit - highest);
    const auto best = std::max_element(logits.begin(), logits.end() - 1);
    const float score = std::exp(*best - highest) / sum;
    const auto class_id = static_cast<int>(best - logits.begin());
    if (score > filter.confidence && filter.allows(class_id)) out.add(query, score, class_id);
  }
}

// Classes do not exclude each other: each that is sure enough is an object, as in the families'
// own post-processing.
void collect_sigmoid(const Queries& queries, const CandidateFilter& filter, Candidates& out) {
  for (int query = 0; query < queries.count; ++query) {
    int class_id = 0;
    for (const float logit : queries.scores_of(query)) {
      const float score = 1 / (1 + std::exp(-logit));
      if (score > filter.confidence && filter.allows(class_id)) out.add(query, score, class_id);
      ++class_id;
    }
  }
}

void collect_probabilities(const Queries& queries, const CandidateFilter& filter, Candidates& out) {
  for (int query = 0; query < queries.count; ++query) {
    const std::span<const float> scores = queries.scores_of(query);
    const auto best = std::max_element(scores.begin(), scores.end());
    const auto class_id = static_cast<int>(best - scores.begin());
    if (*best > filter.confidence && filter.allows(class_id)) out.add(query, *best, class_id);
  }
}

class DetrDecoder final : public OutputDecoder {
 public:
  DetrDecoder(const TaskSpec& spec, const DecodeOptions& options)
      : spec_(spec),
        filter_(make_candidate_filter(spec, options)),
        max_detections_(options.max_detections) {}

  void decode(std::span<const TensorView> outputs, int item, const Letterbox& letterbox,
              FrameResult& result) override {
    const Queries queries =
        spec_.head == Head::kRtDetr ? open_rows(outputs, item) : open_pair(outputs, item);
    candidates_.clear();
    switch (spec_.head) {
      case Head::kDetr: collect_softmax(queries, filter_, candidates_); break;
      case Head::kDetrSigmoid: collect_sigmoid(queries, filter_, candidates_); break;
      default: collect_probabilities(queries, filter_, candidates_); break;
    }
    read_boxes(queries);
    Detections& out = result.detections;
    out = {};
    for (const int kept : best_first()) {
      const auto c = static_cast<std::size_t>(kept);
      const Box box = letterbox.to_source(boxes_[c]);
      if (!(box.area() > 0)) continue;
      out.boxes.push_back(box);
      out.scores.push_back(candidates_.scores[c]);
      out.classes.push_back(candidates_.classes[c]);
    }
  }

 private:
  Queries open_pair(std::span<const TensorView> outputs, int item) const {
    const TensorView& scores = output_at(outputs, spec_.scores_output, 3, item);
    const TensorView& boxes = output_at(outputs, spec_.boxes_output, 3, item);
    const int columns = spec_.class_count + (spec_.head == Head::kDetr ? 1 : 0);
    if (scores.shape[2] != columns || boxes.shape[2] != 4 || scores.shape[1] != boxes.shape[1]) {
      throw Error(ErrorCode::kInvalidShape,
                  fmt::format("the model's logits {} and boxes {} are not [batch, queries, {}] and "
                              "[batch, queries, 4]; supply the right class names with --labels",
                              to_string(scores.shape), to_string(boxes.shape), columns));
    }
    Queries queries;
    queries.count = static_cast<int>(scores.shape[1]);
    queries.columns = columns;
    queries.score_stride = columns;
    queries.box_stride = 4;
    queries.scores = scores.as<float>() + item * scores.shape[1] * queries.score_stride;
    queries.boxes = boxes.as<float>() + item * boxes.shape[1] * queries.box_stride;
    return queries;
  }

  Queries open_rows(std::span<const TensorView> outputs, int item) const {
    const TensorView& rows = output_at(outputs, spec_.boxes_output, 3, item);
    if (rows.shape[2] != 4 + spec_.class_count) {
      throw Error(ErrorCode::kInvalidShape,
                  fmt::format("the model's output {} is not [batch, queries, 4 + {} classes]; "
                              "supply the right class names with --labels",
                              to_string(rows.shape), spec_.class_count));
    }
    Queries queries;
    queries.count = static_cast<int>(rows.shape[1]);
    queries.columns = spec_.class_count;
    queries.score_stride = queries.box_stride = rows.shape[2];
    queries.boxes = rows.as<float>() + item * rows.shape[1] * queries.box_stride;
    queries.scores = queries.boxes + 4;
    return queries;
  }

  // Of the candidates, in model input pixels.
  void read_boxes(const Queries& queries) {
    const auto width = static_cast<float>(spec_.input.width);
    const auto height = static_cast<float>(spec_.input.height);
    boxes_.clear();
    for (const int query : candidates_.anchors) {
      const float* box = queries.boxes + query * queries.box_stride;
      const float cx = box[0] * width, cy = box[1] * height;
      const float half_width = box[2] * width / 2, half_height = box[3] * height / 2;
      boxes_.push_back({cx - half_width, cy - half_height, cx + half_width, cy + half_height});
    }
  }

  std::span<const int> best_first() {
    constexpr float kNever = std::numeric_limits<float>::infinity();
    return suppressor_.suppress(boxes_, candidates_.scores, candidates_.classes, kNever,
                                max_detections_);
  }

  const TaskSpec spec_;
  const CandidateFilter filter_;
  const int max_detections_;
  Candidates candidates_;
  std::vector<Box> boxes_;
  Suppressor suppressor_;
};

}  // namespace

std::unique_ptr<OutputDecoder> make_detr_decoder(const TaskSpec& spec,
                                                 const DecodeOptions& options) {
  return std::make_unique<DetrDecoder>(spec, options);
}

}  // namespace peregrine::vision
