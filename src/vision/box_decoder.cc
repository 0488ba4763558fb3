// SPDX-License-Identifier: Apache-2.0
// Everything that has boxes: raw output -> candidates -> suppression -> source pixels -> masks,
// keypoints or angles of what was kept.
#include "vision/decoders.h"

#include "vision/box_layout.h"
#include "vision/box_tasks.h"
#include "vision/candidates.h"
#include "vision/decode_segment.h"
#include "vision/nms.h"

namespace peregrine::vision {
namespace {

class BoxDecoder final : public OutputDecoder {
 public:
  BoxDecoder(const TaskSpec& spec, const DecodeOptions& options)
      : spec_(spec),
        options_(options),
        layout_(box_layout(spec)),
        filter_(make_candidate_filter(spec, options)) {}

  void decode(std::span<const TensorView> outputs, int item, const Letterbox& letterbox,
              FrameResult& result) override {
    const RawBoxes raw = open(outputs, item);
    collect(raw);
    Detections& out = result.detections;
    out = {};
    if (spec_.task == Task::kPose) out.keypoints_per_object = spec_.keypoint_count;
    if (spec_.task == Task::kObb) {
      read_oriented_boxes(raw);
      for (const int c : keep_oriented()) add_oriented(at(oriented_, c), c, letterbox, out);
      return;
    }
    read_boxes(raw);
    const bool masks = spec_.task == Task::kSegment && options_.masks;
    const Prototypes prototypes = masks ? open_prototypes(outputs, item) : Prototypes{};
    for (const int c : keep()) {
      const Box box = letterbox.to_source(at(boxes_, c));
      if (!(box.area() > 0)) continue;  // lies in the padding
      add(box, c, out);
      if (spec_.task == Task::kPose) {
        for (int k = 0; k < spec_.keypoint_count; ++k) {
          const int channel = layout_.extra_channel + k * spec_.keypoint_values;
          out.keypoints.push_back(read_keypoint(raw, at(candidates_.anchors, c), channel,
                                                spec_.keypoint_values, letterbox));
        }
      } else if (masks) {
        read_coefficients(raw, at(candidates_.anchors, c));
        out.masks.push_back(
            mask_decoder_.decode(prototypes, coefficients_, box, letterbox, spec_.input));
      }
    }
  }

 private:
  template <typename T>
  static const T& at(const std::vector<T>& values, int index) {
    return values[static_cast<std::size_t>(index)];
  }

  RawBoxes open(std::span<const TensorView> outputs, int item) const {
    const TensorView& output = output_at(outputs, spec_.boxes_output, 3, item);
    RawBoxes raw = raw_boxes(spec_, layout_, output.as<float>(), output.shape);
    raw.data += item * (output.shape[1] * output.shape[2]);
    return raw;
  }

  Prototypes open_prototypes(std::span<const TensorView> outputs, int item) const {
    const TensorView& output = output_at(outputs, spec_.prototypes_output, 4, item);
    check_prototypes(spec_, output.shape);
    Prototypes prototypes;
    prototypes.count = static_cast<int>(output.shape[1]);
    prototypes.height = static_cast<int>(output.shape[2]);
    prototypes.width = static_cast<int>(output.shape[3]);
    prototypes.data =
        output.as<float>() + item * (output.shape[1] * output.shape[2] * output.shape[3]);
    return prototypes;
  }

  void collect(const RawBoxes& raw) {
    switch (spec_.head) {
      case Head::kYoloV5: collect_yolov5(raw, spec_.class_count, filter_, candidates_); break;
      case Head::kYoloV10: collect_yolov10(raw, spec_.class_count, filter_, candidates_); break;
      default: collect_yolov8(raw, spec_.class_count, filter_, candidates_); break;
    }
  }

  void read_boxes(const RawBoxes& raw) {
    boxes_.clear();
    for (const int anchor : candidates_.anchors) {
      boxes_.push_back(read_box(raw, anchor, layout_.format, 0, 0));
    }
  }

  void read_oriented_boxes(const RawBoxes& raw) {
    oriented_.clear();
    for (const int anchor : candidates_.anchors) {
      oriented_.push_back(read_oriented(raw, anchor, layout_.extra_channel));
    }
  }

  void read_coefficients(const RawBoxes& raw, int anchor) {
    coefficients_.clear();
    for (int k = 0; k < spec_.mask_coefficients; ++k) {
      coefficients_.push_back(raw.at(anchor, layout_.extra_channel + k));
    }
  }

  float threshold() const { return suppression_threshold(spec_, options_); }
  std::span<const int> keep() {
    return suppressor_.suppress(boxes_, candidates_.scores, candidates_.classes, threshold(),
                                options_.max_detections);
  }
  std::span<const int> keep_oriented() {
    return suppressor_.suppress_rotated(oriented_, candidates_.scores, candidates_.classes,
                                        threshold(), options_.max_detections);
  }

  void add(const Box& box, int candidate, Detections& out) const {
    out.boxes.push_back(box);
    out.scores.push_back(at(candidates_.scores, candidate));
    out.classes.push_back(at(candidates_.classes, candidate));
  }

  void add_oriented(const OrientedBox& in_input, int candidate, const Letterbox& letterbox,
                    Detections& out) const {
    const OrientedBox oriented = to_source(in_input, letterbox);
    const Box box = enclosing_box(oriented, letterbox);
    if (!(box.area() > 0)) return;
    add(box, candidate, out);
    out.oriented.push_back(oriented);
  }

  const TaskSpec spec_;
  const DecodeOptions options_;
  const BoxLayout layout_;
  const CandidateFilter filter_;
  Candidates candidates_;
  std::vector<Box> boxes_;  // of the candidates, in model input pixels
  std::vector<OrientedBox> oriented_;
  std::vector<float> coefficients_;
  Suppressor suppressor_;
  MaskDecoder mask_decoder_;
};

}  // namespace

std::unique_ptr<OutputDecoder> make_box_decoder(const TaskSpec& spec,
                                                const DecodeOptions& options) {
  return std::make_unique<BoxDecoder>(spec, options);
}

}  // namespace peregrine::vision
