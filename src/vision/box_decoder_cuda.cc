// SPDX-License-Identifier: Apache-2.0
// Everything that has boxes, a batch at a time: scores -> candidates -> rows of what is kept, in
// source pixels, with keypoints or angles -> masks -> one block of results on the host.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/cuda/copy.h"
#include "core/cuda/handles.h"
#include "peregrine/error.h"
#include "vision/box_layout.h"
#include "vision/decoders_cuda.h"
#include "vision/mask_reader_cuda.h"
#include "vision/nms_cuda.h"

namespace peregrine::vision {
namespace {

TransferPoint results_down(Crossing::kDown, "postprocess", "results");
TransferPoint filter_up(Crossing::kUp, "postprocess", "class filter");

class GpuBoxDecoder final : public GpuOutputDecoder {
 public:
  GpuBoxDecoder(const TaskSpec& spec, const DecodeOptions& options,
                std::span<const TensorSpec> outputs, int max_batch)
      : spec_(spec),
        max_batch_(max_batch),
        output_(outputs, spec.boxes_output, {3}),
        stream_(cuda::make_stream()) {
    if (spec.class_count < 1) {
      throw Error(
          ErrorCode::kInvalidShape,
          fmt::format("a {} model without classes has no scores to decode", to_string(spec.task)));
    }
    const BoxLayout layout = box_layout(spec);
    const RawBoxes raw = raw_boxes(spec, layout, nullptr, output_.shape());
    const CandidateFilter filter = make_candidate_filter(spec, options);
    const auto pictures = static_cast<std::size_t>(max_batch);
    const std::size_t anchors = pictures * static_cast<std::size_t>(raw.anchors);
    keys_ = cuda::DeviceBuffer(anchors * sizeof(std::uint64_t));
    classes_ = cuda::DeviceBuffer(anchors * sizeof(std::int32_t));
    counts_ = cuda::DeviceBuffer(pictures * sizeof(std::uint32_t));
    CUDA_CHECK(cudaMemsetAsync(counts_.data(), 0, counts_.bytes(), stream_.get()));
    upload(filter.allowed);

    scan_.raw = raw;
    scan_.picture_stride = output_.picture_size();
    scan_.class_count = spec.class_count;
    scan_.confidence = filter.confidence;
    scan_.allowed = allowed_.as<const std::uint8_t>();
    scan_.lists = {keys_.as<std::uint64_t>(), classes_.as<std::int32_t>(),
                   counts_.as<std::uint32_t>()};

    suppress_.raw = raw;
    suppress_.picture_stride = scan_.picture_stride;
    suppress_.lists = scan_.lists;
    suppress_.corners = spec.head == Head::kYoloV10;
    suppress_.oriented = spec.task == Task::kObb;
    suppress_.iou = suppression_threshold(spec, options);
    suppress_.limit = std::clamp(options.max_detections, 0, raw.anchors);
    suppress_.extra_channel = layout.extra_channel;
    if (spec.task == Task::kPose) {
      suppress_.keypoint_count = spec.keypoint_count;
      suppress_.keypoint_values = spec.keypoint_values;
    }
    suppress_.layout = block_layout(
        suppress_.limit,
        suppress_.oriented ? sizeof(OrientedBox)
                           : static_cast<std::size_t>(suppress_.keypoint_count) * sizeof(Keypoint));
    blocks_ = cuda::DeviceBuffer(pictures * suppress_.layout.block_bytes());
    host_blocks_ = cuda::PinnedBuffer(blocks_.bytes());
    rests_ = cuda::DeviceBuffer(pictures * suppress_.layout.rest_bytes());
    host_rest_ = cuda::PinnedBuffer(suppress_.layout.rest_bytes());
    kept_ = cuda::DeviceBuffer(pictures * kept_bytes(suppress_.oriented, suppress_.limit));
    suppress_.blocks = blocks_.as<std::uint8_t>();
    suppress_.rests = rests_.as<std::uint8_t>();
    suppress_.kept = kept_.as<std::uint8_t>();
    letterboxes_.reserve(pictures);
    prepare_suppress();
    if (spec.task == Task::kSegment && options.masks) {
      prototypes_ = DeviceOutput(outputs, spec.prototypes_output, {4});
      check_prototypes(spec, prototypes_.shape());
      masks_ = GpuMasks(spec, prototypes_.shape(), suppress_.limit, max_batch);
      suppress_.masks = masks_.space();
      scan_.mask_words = suppress_.masks.used;
    }
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
  }

  void enqueue(std::span<const TensorView> outputs, std::span<const Letterbox> letterboxes,
               StreamHandle handle) override {
    check_batch(letterboxes.size(), max_batch_);
    const float* data = output_.data(outputs, letterboxes.size());
    const float* prototypes =
        masks_.wanted() ? prototypes_.data(outputs, letterboxes.size()) : nullptr;
    letterboxes_.assign(letterboxes.begin(), letterboxes.end());
    auto* stream = static_cast<cudaStream_t>(handle);
    scan_.raw.data = suppress_.raw.data = data;
    launch_scan(spec_.head, scan_, static_cast<int>(letterboxes.size()), stream);
    for (std::size_t first = 0; first < letterboxes.size(); first += kPicturesALaunch) {
      const std::size_t count = std::min<std::size_t>(letterboxes.size() - first, kPicturesALaunch);
      suppress_.first_picture = static_cast<int>(first);
      std::copy_n(letterboxes.begin() + static_cast<std::ptrdiff_t>(first), count,
                  suppress_.letterboxes);
      launch_suppress(suppress_, static_cast<int>(count), stream);
    }
    if (masks_.wanted()) masks_.enqueue(mask_params(prototypes), letterboxes, stream);
    cuda::copy_down(results_down, host_blocks_.data(), blocks_.data(),
                    letterboxes.size() * suppress_.layout.block_bytes(), stream);
  }

  void read(int item, FrameResult& result) override {
    check_item(item, letterboxes_.size());
    const BlockHeader& header = header_of(item);
    if (header.count > suppress_.layout.rows_in_block) fetch_rest(item, header.count);
    Detections& out = result.detections;
    out = {};
    if (spec_.task == Task::kPose) out.keypoints_per_object = spec_.keypoint_count;
    anchors_.clear();
    for (int i = 0; i < header.count; ++i) add(row_of(item, i), out);
    if (masks_.wanted()) {
      std::uint64_t end = 0;
      for (int other = 0; other < std::ssize(letterboxes_); ++other) {
        end = std::max(end, header_of(other).mask_end);
      }
      masks_.read(item, header, end, out.boxes, anchors_,
                  letterboxes_[static_cast<std::size_t>(item)], out.masks);
    }
  }

 private:
  void upload(const std::vector<std::uint8_t>& allowed) {
    if (allowed.empty()) return;
    allowed_ = cuda::DeviceBuffer(allowed.size());
    cuda::copy_up(filter_up, allowed_.data(), allowed.data(), allowed.size(), stream_.get());
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
  }

  MaskParams mask_params(const float* prototypes) const {
    MaskParams params;
    params.raw = suppress_.raw;
    params.picture_stride = suppress_.picture_stride;
    params.first_coefficient = suppress_.extra_channel;
    params.coefficients = spec_.mask_coefficients;
    params.prototypes = prototypes;
    params.layout = suppress_.layout;
    params.blocks = suppress_.blocks;
    params.rests = suppress_.rests;
    return params;
  }

  const std::uint8_t* block_of(int item) const {
    return host_blocks_.as<const std::uint8_t>() +
           static_cast<std::size_t>(item) * suppress_.layout.block_bytes();
  }
  const BlockHeader& header_of(int item) const {
    return *reinterpret_cast<const BlockHeader*>(block_of(item));
  }
  const std::uint8_t* row_of(int item, int index) const {
    return suppress_.layout.row(block_of(item), host_rest_.as<const std::uint8_t>(), index);
  }

  void fetch_rest(int item, int count) {
    const BlockLayout& layout = suppress_.layout;
    cuda::copy_down(
        results_down, host_rest_.data(),
        rests_.as<std::uint8_t>() + static_cast<std::size_t>(item) * layout.rest_bytes(),
        static_cast<std::size_t>(count - layout.rows_in_block) *
            static_cast<std::size_t>(layout.row_bytes),
        stream_.get());
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
  }

  void add(const std::uint8_t* bytes, Detections& out) {
    const auto& row = *reinterpret_cast<const BoxRow*>(bytes);
    out.boxes.push_back(row.box);
    out.scores.push_back(row.score);
    out.classes.push_back(row.class_id);
    anchors_.push_back(row.anchor);
    bytes += sizeof(BoxRow);
    if (spec_.task == Task::kObb) {
      out.oriented.push_back(*reinterpret_cast<const OrientedBox*>(bytes));
    } else if (spec_.task == Task::kPose) {
      const auto* points = reinterpret_cast<const Keypoint*>(bytes);
      out.keypoints.insert(out.keypoints.end(), points, points + spec_.keypoint_count);
    }
  }

  const TaskSpec spec_;
  const int max_batch_;
  const DeviceOutput output_;
  DeviceOutput prototypes_;
  ScanParams scan_;
  SuppressParams suppress_;
  GpuMasks masks_;
  std::vector<Letterbox> letterboxes_;  // of the batch that was enqueued last
  std::vector<int> anchors_;            // of the rows of the picture that is read
  cuda::DeviceBuffer keys_, classes_, counts_, allowed_, blocks_, rests_, kept_;
  cuda::PinnedBuffer host_blocks_, host_rest_;
  cuda::Stream stream_;  // for what is fetched when it is read
};

}  // namespace

std::unique_ptr<GpuOutputDecoder> make_gpu_box_decoder(const TaskSpec& spec,
                                                       const DecodeOptions& options,
                                                       std::span<const TensorSpec> outputs,
                                                       int max_batch) {
  return std::make_unique<GpuBoxDecoder>(spec, options, outputs, max_batch);
}

}  // namespace peregrine::vision
