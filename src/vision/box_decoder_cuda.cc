// SPDX-License-Identifier: Apache-2.0
// YOLO's heads, a batch at a time: scores -> candidates -> rows of what is kept, in source pixels,
// with keypoints or angles -> masks -> one block of results on the host.
#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/box_layout.h"
#include "vision/box_results_cuda.h"
#include "vision/candidates_cuda.h"
#include "vision/decoders_cuda.h"
#include "vision/masks_cuda.h"
#include "vision/overlap.h"

namespace peregrine::vision {
namespace {

SuppressParams suppress_params(const TaskSpec& spec, const DecodeOptions& options,
                               const DeviceOutput& output) {
  const BoxLayout layout = box_layout(spec);
  SuppressParams params;
  params.raw = raw_boxes(spec, layout, nullptr, output.shape());
  params.picture_stride = output.picture_size();
  params.format = layout.format;
  params.oriented = spec.task == Task::kObb;
  params.iou = suppression_threshold(spec, options);
  params.distance = distance_beyond(params.iou);
  params.extra_channel = layout.extra_channel;
  if (spec.task == Task::kPose) {
    params.keypoint_count = spec.keypoint_count;
    params.keypoint_values = spec.keypoint_values;
  }
  return params;
}

class GpuBoxDecoder final : public GpuOutputDecoder {
 public:
  GpuBoxDecoder(const TaskSpec& spec, const DecodeOptions& options,
                std::span<const TensorSpec> outputs, int max_batch)
      : spec_(spec),
        max_batch_(max_batch),
        output_(outputs, spec.boxes_output, {3}),
        results_(suppress_params(spec, options, output_),
                 raw_boxes(spec, box_layout(spec), nullptr, output_.shape()).anchors, options,
                 max_batch) {
    if (spec.class_count < 1) {
      throw Error(
          ErrorCode::kInvalidShape,
          fmt::format("a {} model without classes has no scores to decode", to_string(spec.task)));
    }
    const CandidateFilter filter = make_candidate_filter(spec, options);
    allowed_ = upload_filter(filter.allowed);
    scan_.raw = results_.params().raw;
    scan_.picture_stride = output_.picture_size();
    scan_.class_count = spec.class_count;
    scan_.confidence = filter.confidence;
    scan_.allowed = allowed_.as<const std::uint8_t>();
    scan_.lists = results_.lists();
    if (spec.task == Task::kSegment && options.masks) {
      prototypes_ = DeviceOutput(outputs, spec.prototypes_output, {4});
      check_prototypes(spec, prototypes_.shape());
      masks_ = GpuMasks(spec, prototypes_.shape(), results_.params().limit, max_batch);
      results_.divide_masks(masks_.field(), masks_.strips_before());
      scan_.claimed = masks_.claimed();
      const SuppressParams& rows = results_.params();
      MaskParams& params = masks_.params();
      params.raw = rows.raw;
      params.picture_stride = rows.picture_stride;
      params.first_coefficient = rows.extra_channel;
      params.layout = rows.layout;
      params.blocks = rows.blocks;
      params.rests = rows.rests;
    }
  }

  void enqueue(std::span<const TensorView> outputs, std::span<const Letterbox> letterboxes,
               StreamHandle handle) override {
    check_batch(letterboxes.size(), max_batch_);
    scan_.raw.data = output_.data(outputs, letterboxes.size());
    if (masks_.wanted()) {
      masks_.params().raw.data = scan_.raw.data;
      masks_.params().prototypes = prototypes_.data(outputs, letterboxes.size());
    }
    auto* stream = static_cast<cudaStream_t>(handle);
    launch_scan(spec_.head, scan_, static_cast<int>(letterboxes.size()), stream);
    results_.suppress(scan_.raw.data, letterboxes, stream);
    if (masks_.wanted()) masks_.enqueue(letterboxes, stream);
    results_.copy_down(stream);
  }

  void read(int item, FrameResult& result) override {
    check_item(item, results_.pictures());
    Detections& out = result.detections;
    results_.read(item, out, anchors_);
    if (masks_.wanted()) {
      masks_.read(item, out.boxes, anchors_, results_.letterbox(item), out.masks);
    }
  }

 private:
  const TaskSpec spec_;
  const int max_batch_;
  const DeviceOutput output_;
  DeviceOutput prototypes_;
  GpuBoxResults results_;
  GpuMasks masks_;
  cuda::DeviceBuffer allowed_;
  ScanParams scan_;
  std::vector<int> anchors_;  // of the rows of the picture that is read
};

}  // namespace

std::unique_ptr<GpuOutputDecoder> make_gpu_box_decoder(const TaskSpec& spec,
                                                       const DecodeOptions& options,
                                                       std::span<const TensorSpec> outputs,
                                                       int max_batch) {
  return std::make_unique<GpuBoxDecoder>(spec, options, outputs, max_batch);
}

}  // namespace peregrine::vision
