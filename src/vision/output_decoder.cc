// SPDX-License-Identifier: Apache-2.0
#include "vision/output_decoder.h"

#include <cmath>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/decoders.h"

namespace peregrine::vision {

const TensorView& output_at(std::span<const TensorView> outputs, int index, std::size_t rank,
                            int item) {
  if (index < 0 || static_cast<std::size_t>(index) >= outputs.size()) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("output {} is wanted, but the engine has {}", index, outputs.size()));
  }
  const TensorView& output = outputs[static_cast<std::size_t>(index)];
  if (output.dtype != DType::kFloat32 || !output.device.is_cpu() || !output.is_packed() ||
      output.shape.size() != rank || item < 0 || item >= output.shape[0]) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("output {} is {} {} on {}{}; decoding picture {} takes packed float32 "
                            "on the CPU with {} dimensions",
                            index, to_string(output.dtype), to_string(output.shape),
                            to_string(output.device), output.is_packed() ? "" : ", not packed",
                            item, rank));
  }
  return output;
}

std::span<const float> row_at(std::span<const TensorView> outputs, int index, int item) {
  const bool picture = index >= 0 && static_cast<std::size_t>(index) < outputs.size() &&
                       outputs[static_cast<std::size_t>(index)].shape.size() == 4;
  const TensorView& output = output_at(outputs, index, picture ? 4 : 2, item);
  if (picture && (output.shape[2] != 1 || output.shape[3] != 1)) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("output {} is {}; one row of numbers a picture is wanted", index,
                            to_string(output.shape)));
  }
  const auto size = static_cast<std::size_t>(output.shape[1]);
  return {output.as<float>() + static_cast<std::size_t>(item) * size, size};
}

void normalize(std::span<float> row) {
  double squares = 0;
  for (const float value : row) squares += static_cast<double>(value) * value;
  if (!(squares > 0)) return;
  const auto scale = static_cast<float>(1 / std::sqrt(squares));
  for (float& value : row) value *= scale;
}

std::unique_ptr<OutputDecoder> make_output_decoder(const TaskSpec& spec,
                                                   const DecodeOptions& options) {
  switch (spec.head) {
    case Head::kYoloV5:
    case Head::kYoloV8:
    case Head::kYoloV10: return make_box_decoder(spec, options);
    case Head::kDetr:
    case Head::kDetrSigmoid:
    case Head::kRtDetr: return make_detr_decoder(spec, options);
    case Head::kClassify: return make_classify_decoder(spec);
    case Head::kEmbed: return make_embed_decoder(spec);
    case Head::kDepth: return make_depth_decoder(spec);
  }
  throw Error(ErrorCode::kTaskUnknown,
              fmt::format("task {} has no decoder on the CPU", to_string(spec.task)));
}

}  // namespace peregrine::vision
