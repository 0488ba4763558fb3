// SPDX-License-Identifier: Apache-2.0
#include "vision/output_decoder_cuda.h"

#include <algorithm>

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "core/cuda/check.h"
#include "peregrine/error.h"
#include "vision/decoders_cuda.h"

namespace peregrine::vision {

DeviceOutput::DeviceOutput(std::span<const TensorSpec> outputs, int index,
                           std::initializer_list<int> ranks)
    : index_(index) {
  if (index < 0 || static_cast<std::size_t>(index) >= outputs.size()) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("output {} is wanted, but the engine has {}", index, outputs.size()));
  }
  const TensorSpec& spec = outputs[static_cast<std::size_t>(index)];
  shape_ = spec.shape;
  const bool ranked = std::any_of(ranks.begin(), ranks.end(), [&](int rank) {
    return shape_.size() == static_cast<std::size_t>(rank);
  });
  if (!ranked || spec.dtype != DType::kFloat32 ||
      std::any_of(shape_.begin() + 1, shape_.end(), [](std::int64_t size) { return size < 1; })) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("output '{}' is {} {}; decoding on the GPU takes float32 with {} "
                            "dimensions, all but the batch known",
                            spec.name, to_string(spec.dtype), to_string(shape_), *ranks.begin()));
  }
  picture_size_ = element_count({shape_.data() + 1, shape_.size() - 1});
  int device = 0;
  CUDA_CHECK(cudaGetDevice(&device));
  device_ = Device::cuda(device);
}

const float* DeviceOutput::data(std::span<const TensorView> outputs, std::size_t pictures) const {
  if (static_cast<std::size_t>(index_) >= outputs.size()) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("output {} is wanted, but there are {}", index_, outputs.size()));
  }
  const TensorView& output = outputs[static_cast<std::size_t>(index_)];
  if (output.dtype != DType::kFloat32 || output.device != device_ || !output.is_packed() ||
      output.shape.size() != shape_.size() ||
      output.shape[0] < static_cast<std::int64_t>(pictures) ||
      !std::equal(shape_.begin() + 1, shape_.end(), output.shape.begin() + 1)) {
    throw Error(
        ErrorCode::kInvalidShape,
        fmt::format(
            "output {} is {} {} on {}{}; decoding {} pictures takes packed float32 {} on {}",
            index_, to_string(output.dtype), to_string(output.shape), to_string(output.device),
            output.is_packed() ? "" : ", not packed", pictures, to_string(shape_),
            to_string(device_)));
  }
  return output.as<const float>();
}

void check_batch(std::size_t pictures, int max_batch) {
  if (pictures >= 1 && pictures <= static_cast<std::size_t>(max_batch)) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("a batch of {} pictures to decode, not 1 to {}", pictures, max_batch));
}

void check_item(int item, std::size_t pictures) {
  if (item >= 0 && static_cast<std::size_t>(item) < pictures) return;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("the answer for picture {} of a batch of {} was asked for", item, pictures));
}

std::unique_ptr<GpuOutputDecoder> make_gpu_output_decoder(const TaskSpec& spec,
                                                          const DecodeOptions& options,
                                                          std::span<const TensorSpec> outputs,
                                                          int max_batch) {
  if (max_batch < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a decoder for batches of up to {} was asked for", max_batch));
  }
  switch (spec.head) {
    case Head::kYoloV5:
    case Head::kYoloV8:
    case Head::kYoloV10: return make_gpu_box_decoder(spec, options, outputs, max_batch);
    case Head::kDetr:
    case Head::kDetrSigmoid:
    case Head::kRtDetr: return make_gpu_detr_decoder(spec, options, outputs, max_batch);
    case Head::kDepth: return make_gpu_depth_decoder(spec, outputs, max_batch);
    case Head::kClassify:
    case Head::kEmbed: return make_gpu_row_decoder(spec, outputs, max_batch);
  }
  throw Error(ErrorCode::kTaskUnknown,
              fmt::format("task {} has no decoder on the GPU; run it with --device cpu",
                          to_string(spec.task)));
}

}  // namespace peregrine::vision
