// SPDX-License-Identifier: Apache-2.0
#include "vision/engine_tensors.h"

#include <algorithm>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::vision {
namespace {

Tensor make_tensor(const TensorSpec& spec, int batch) {
  Shape shape = spec.shape;
  const bool known = !shape.empty() && std::all_of(shape.begin() + 1, shape.end(),
                                                   [](std::int64_t size) { return size > 0; });
  if (!known || spec.dtype != DType::kFloat32) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("the engine's tensor '{}' is {} {}; float32 with every size but the "
                            "batch known is wanted (export the model in FP32)",
                            spec.name, to_string(spec.dtype), to_string(shape)));
  }
  if (shape[0] < 0) shape[0] = batch;
  return Tensor::zeros(spec.dtype, std::move(shape));
}

std::span<const TensorView> views_of(std::vector<Tensor>& tensors, int batch,
                                     std::vector<TensorView>& views) {
  views.clear();
  for (Tensor& tensor : tensors) views.push_back(tensor.view().slice(0, batch));
  return views;
}

}  // namespace

EngineTensors::EngineTensors(const Engine& engine, const InputSpec& input)
    : max_batch_(engine.max_batch()) {
  if (!engine.device().is_cpu() || engine.inputs().size() != 1) {
    throw Error(
        ErrorCode::kInvalidShape,
        fmt::format("engine '{}' has {} inputs on {}; one on the CPU is wanted",
                    engine.description(), engine.inputs().size(), to_string(engine.device())));
  }
  const TensorSpec& spec = engine.inputs()[0];
  const Shape wanted{-1, 3, input.height, input.width};
  if (spec.shape.size() != 4 ||
      !std::equal(spec.shape.begin() + 1, spec.shape.end(), wanted.begin() + 1)) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("the engine's input '{}' is {}, not {}", spec.name,
                            to_string(spec.shape), to_string(wanted)));
  }
  if (spec.shape[0] > 0) max_batch_ = std::min(max_batch_, static_cast<int>(spec.shape[0]));
  picture_size_ =
      3 * static_cast<std::size_t>(input.height) * static_cast<std::size_t>(input.width);
  input_tensors_.push_back(make_tensor(spec, max_batch_));
  for (const TensorSpec& output : engine.outputs()) {
    output_tensors_.push_back(make_tensor(output, max_batch_));
  }
}

float* EngineTensors::picture(std::size_t item) {
  return input_tensors_[0].as<float>().data() + item * picture_size_;
}

std::span<const TensorView> EngineTensors::inputs(int batch) {
  return views_of(input_tensors_, batch, input_views_);
}

std::span<const TensorView> EngineTensors::outputs(int batch) {
  return views_of(output_tensors_, batch, output_views_);
}

}  // namespace peregrine::vision
