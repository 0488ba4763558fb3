// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "core/cuda/copy.h"
#include "core/cuda/handles.h"
#include "peregrine/error.h"
#include "vision/decode_rows_cuda.h"
#include "vision/decoders_cuda.h"

namespace peregrine::vision {
namespace {

TransferPoint results_down(Crossing::kDown, "postprocess", "results");

class GpuRowDecoder final : public GpuOutputDecoder {
 public:
  GpuRowDecoder(const TaskSpec& spec, std::span<const TensorSpec> outputs, int max_batch)
      : classifies_(spec.head == Head::kClassify),
        max_batch_(max_batch),
        output_(outputs, spec.boxes_output, {2, 4}) {
    const Shape& shape = output_.shape();
    size_ = static_cast<int>(shape[1]);
    if (output_.picture_size() != shape[1]) {
      throw Error(ErrorCode::kInvalidShape,
                  fmt::format("output {} is {}; one row of numbers a picture is wanted",
                              spec.boxes_output, to_string(shape)));
    }
    if (classifies_ && size_ != spec.class_count) {
      throw Error(ErrorCode::kInvalidShape,
                  fmt::format("the model's output has {} scores for {} classes; supply the right "
                              "names with --labels FILE",
                              size_, spec.class_count));
    }
    entries_ = static_cast<std::size_t>(classifies_ ? std::min(kTopClasses, size_) : size_);
    picture_bytes_ = entries_ * (classifies_ ? sizeof(ClassScore) : sizeof(float));
    answers_ = cuda::DeviceBuffer(picture_bytes_ * static_cast<std::size_t>(max_batch));
    host_answers_ = cuda::PinnedBuffer(answers_.bytes());
  }

  void enqueue(std::span<const TensorView> outputs, std::span<const Letterbox> letterboxes,
               StreamHandle handle) override {
    check_batch(letterboxes.size(), max_batch_);
    const float* rows = output_.data(outputs, letterboxes.size());
    pictures_ = letterboxes.size();
    const auto pictures = static_cast<int>(pictures_);
    auto* stream = static_cast<cudaStream_t>(handle);
    if (classifies_) {
      launch_top_classes(rows, size_, answers_.as<ClassScore>(), pictures, stream);
    } else {
      launch_unit_rows(rows, size_, answers_.as<float>(), pictures, stream);
    }
    cuda::copy_down(results_down, host_answers_.data(), answers_.data(), picture_bytes_ * pictures_,
                    stream);
  }

  void read(int item, FrameResult& result) override {
    check_item(item, pictures_);
    const std::size_t first = static_cast<std::size_t>(item) * entries_;
    if (classifies_) {
      const auto* classes = host_answers_.as<const ClassScore>() + first;
      result.classes.assign(classes, classes + entries_);
    } else {
      const auto* features = host_answers_.as<const float>() + first;
      result.embedding.assign(features, features + entries_);
    }
  }

 private:
  const bool classifies_;
  const int max_batch_;
  const DeviceOutput output_;
  int size_ = 0;  // numbers in a row
  std::size_t entries_ = 0, picture_bytes_ = 0;
  std::size_t pictures_ = 0;  // of the batch that was enqueued last
  cuda::DeviceBuffer answers_;
  cuda::PinnedBuffer host_answers_;
};

}  // namespace

std::unique_ptr<GpuOutputDecoder> make_gpu_row_decoder(const TaskSpec& spec,
                                                       std::span<const TensorSpec> outputs,
                                                       int max_batch) {
  return std::make_unique<GpuRowDecoder>(spec, outputs, max_batch);
}

}  // namespace peregrine::vision
