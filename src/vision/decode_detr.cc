// SPDX-License-Identifier: Apache-2.0
// DETR and its family: a set of queries, each an object or none. Nothing is suppressed: the network
// was trained to answer once an object.
#include <algorithm>
#include <limits>

#include "vision/box_tasks.h"
#include "vision/candidates.h"
#include "vision/decoders.h"
#include "vision/detr_layout.h"
#include "vision/nms.h"

namespace peregrine::vision {
namespace {

// One picture's queries. Never owns.
struct Queries {
  DetrLayout layout;
  const float* scores = nullptr;
  RawBoxes boxes;

  std::span<const float> scores_of(int query) const {
    return {scores + query * layout.score_stride, static_cast<std::size_t>(layout.columns)};
  }
};

// The surest class that is one; its probability among all logits, "no object" the last of them.
void collect_softmax(const Queries& queries, const CandidateFilter& filter, Candidates& out) {
  for (int query = 0; query < queries.layout.queries; ++query) {
    const std::span<const float> logits = queries.scores_of(query);
    const float highest = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += softmax_term(logit, highest);
    const auto best = std::max_element(logits.begin(), logits.end() - 1);
    const auto score = static_cast<float>(softmax_term(*best, highest) / sum);
    const auto class_id = static_cast<int>(best - logits.begin());
    if (score > filter.confidence && filter.allows(class_id)) out.add(query, score, class_id);
  }
}

// Classes do not exclude each other: each that is sure enough is an object, as in the families'
// own post-processing.
void collect_sigmoid(const Queries& queries, const CandidateFilter& filter, Candidates& out) {
  for (int query = 0; query < queries.layout.queries; ++query) {
    int class_id = 0;
    for (const float logit : queries.scores_of(query)) {
      const float score = sigmoid_score(logit);
      if (score > filter.confidence && filter.allows(class_id)) out.add(query, score, class_id);
      ++class_id;
    }
  }
}

void collect_probabilities(const Queries& queries, const CandidateFilter& filter, Candidates& out) {
  for (int query = 0; query < queries.layout.queries; ++query) {
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
    const Queries queries = open(outputs, item);
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
  Queries open(std::span<const TensorView> outputs, int item) const {
    const TensorView& boxes = output_at(outputs, spec_.boxes_output, 3, item);
    const TensorView& scores =
        spec_.head == Head::kRtDetr ? boxes : output_at(outputs, spec_.scores_output, 3, item);
    Queries queries;
    queries.layout = detr_layout(spec_, scores.shape, boxes.shape);
    const DetrLayout& layout = queries.layout;
    queries.scores = scores.as<float>() + item * layout.scores_a_picture + layout.score_offset;
    queries.boxes = {boxes.as<float>() + item * layout.boxes_a_picture, layout.queries, 4,
                     layout.box_stride, 1};
    return queries;
  }

  // Of the candidates, in model input pixels.
  void read_boxes(const Queries& queries) {
    boxes_.clear();
    for (const int query : candidates_.anchors) {
      boxes_.push_back(read_box(queries.boxes, query, BoxFormat::kNormalised,
                                static_cast<float>(spec_.input.width),
                                static_cast<float>(spec_.input.height)));
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
