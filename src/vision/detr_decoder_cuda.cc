// SPDX-License-Identifier: Apache-2.0
// DETR and its family, a batch at a time: logits -> the queries (or classes of queries) that are
// objects -> their order -> rows in source pixels.
#include <limits>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/box_results_cuda.h"
#include "vision/candidates.h"
#include "vision/decode_detr_cuda.h"
#include "vision/decoders_cuda.h"

namespace peregrine::vision {
namespace {

int entries_a_query(const TaskSpec& spec) {
  return spec.head == Head::kDetrSigmoid ? spec.class_count : 1;
}

SuppressParams suppress_params(const TaskSpec& spec, const DetrLayout& layout) {
  SuppressParams params;
  params.raw = {nullptr, layout.queries, 4, layout.box_stride, 1};
  params.picture_stride = layout.boxes_a_picture;
  params.entries_an_anchor = entries_a_query(spec);
  params.format = BoxFormat::kNormalised;
  params.input_width = static_cast<float>(spec.input.width);
  params.input_height = static_cast<float>(spec.input.height);
  params.iou = std::numeric_limits<float>::infinity();  // the network answers once an object
  return params;
}

class GpuDetrDecoder final : public GpuOutputDecoder {
 public:
  GpuDetrDecoder(const TaskSpec& spec, const DecodeOptions& options,
                 std::span<const TensorSpec> outputs, int max_batch)
      : head_(spec.head),
        max_batch_(max_batch),
        boxes_(outputs, spec.boxes_output, {3}),
        scores_(spec.head == Head::kRtDetr ? boxes_
                                           : DeviceOutput(outputs, spec.scores_output, {3})),
        layout_(detr_layout(spec, scores_.shape(), boxes_.shape())),
        results_(suppress_params(spec, layout_), layout_.queries * entries_a_query(spec), options,
                 max_batch) {
    if (spec.class_count < 1) {
      throw Error(
          ErrorCode::kInvalidShape,
          fmt::format("a {} model without classes has no scores to decode", to_string(spec.task)));
    }
    const CandidateFilter filter = make_candidate_filter(spec, options);
    allowed_ = upload_filter(filter.allowed);
    scan_.layout = layout_;
    scan_.class_count = spec.class_count;
    scan_.confidence = filter.confidence;
    scan_.allowed = allowed_.as<const std::uint8_t>();
    scan_.lists = results_.lists();
  }

  void enqueue(std::span<const TensorView> outputs, std::span<const Letterbox> letterboxes,
               StreamHandle handle) override {
    check_batch(letterboxes.size(), max_batch_);
    scan_.scores = scores_.data(outputs, letterboxes.size());
    const float* boxes = boxes_.data(outputs, letterboxes.size());
    auto* stream = static_cast<cudaStream_t>(handle);
    launch_detr_scan(head_, scan_, static_cast<int>(letterboxes.size()), stream);
    results_.suppress(boxes, letterboxes, stream);
    results_.copy_down(stream);
  }

  void read(int item, FrameResult& result) override {
    check_item(item, results_.pictures());
    results_.read(item, result.detections, queries_);
  }

 private:
  const Head head_;
  const int max_batch_;
  const DeviceOutput boxes_, scores_;
  const DetrLayout layout_;
  GpuBoxResults results_;
  cuda::DeviceBuffer allowed_;
  DetrScanParams scan_;
  std::vector<int> queries_;  // of the rows of the picture that is read
};

}  // namespace

std::unique_ptr<GpuOutputDecoder> make_gpu_detr_decoder(const TaskSpec& spec,
                                                        const DecodeOptions& options,
                                                        std::span<const TensorSpec> outputs,
                                                        int max_batch) {
  return std::make_unique<GpuDetrDecoder>(spec, options, outputs, max_batch);
}

}  // namespace peregrine::vision
