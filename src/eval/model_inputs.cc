// SPDX-License-Identifier: Apache-2.0
#include "eval/model_inputs.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "core/tensor_spec.h"
#include "model/convert.h"
#include "peregrine/error.h"

namespace peregrine::eval {
namespace {

// Pictures in one call of a model whose batch is fixed; 0 where it is the caller's choice.
int fixed_batch(const std::vector<TensorSpec>& specs) {
  const Shape& shape = specs.front().shape;
  return shape.empty() || shape[0] < 0 ? 0 : static_cast<int>(shape[0]);
}

Tensor noise(const TensorSpec& spec, int batch, std::mt19937_64& random) {
  Tensor tensor(DType::kFloat32, with_batch(spec, batch));
  std::uniform_real_distribution<float> uniform(0, 1);
  const float scale = model::is_float(spec.dtype) ? 1.0f : 8.0f;
  for (float& value : tensor.as<float>()) value = scale * uniform(random);
  return spec.dtype == DType::kFloat32 ? std::move(tensor) : model::convert(tensor, spec.dtype);
}

}  // namespace

ModelInputs::ModelInputs(std::vector<TensorSpec> specs, std::uint64_t seed, int count)
    : specs_(std::move(specs)), left_(count), random_(seed) {}

ModelInputs::ModelInputs(std::vector<TensorSpec> specs, const vision::InputSpec& input,
                         const std::vector<std::string>& sources, int count, std::int64_t every)
    : specs_(std::move(specs)),
      left_(count),
      input_(input),
      sources_(video::expand_sources(sources)) {
  source_options_.every = every;
}

int ModelInputs::next(int limit) {
  if (const int fixed = fixed_batch(specs_); fixed > 0) limit = fixed;
  const int batch = std::min(limit, left_);
  if (batch < 1) return 0;
  const int made = are_pictures() ? next_pictures(batch) : next_noise(batch);
  left_ -= made;
  return made;
}

std::vector<TensorView> ModelInputs::views() {
  std::vector<TensorView> views;
  for (Tensor& tensor : tensors_) views.push_back(tensor.view());
  return views;
}

int ModelInputs::next_noise(int limit) {
  tensors_.clear();
  for (const TensorSpec& spec : specs_) tensors_.push_back(noise(spec, limit, random_));
  return limit;
}

int ModelInputs::next_pictures(int limit) {
  const TensorSpec& spec = specs_.front();
  tensors_.clear();
  letterboxes_.clear();
  frames_.clear();
  std::vector<float> pixels;
  const auto size = static_cast<std::size_t>(3 * input_.height * input_.width);
  Frame frame;
  while (std::ssize(frames_) < limit && read(frame)) {
    pixels.resize(pixels.size() + size);
    letterboxes_.push_back(
        vision::preprocess(frame, input_, pixels.data() + (pixels.size() - size)));
    frames_.push_back(frame.info);
  }
  const int made = static_cast<int>(frames_.size());
  if (made > 0) {
    tensors_.push_back(
        Tensor::of<float>(std::span<const float>(pixels), with_batch(spec, made)));
  }
  return made;
}

bool ModelInputs::read(Frame& frame) {
  for (;;) {
    if (!open_) {
      if (at_ == sources_.size()) return false;
      open_ = video::open_source(sources_[at_++], source_options_);
    }
    video::SourceEvent event = open_->read();
    if (Frame* found = std::get_if<Frame>(&event)) {
      frame = std::move(*found);
      return true;
    }
    if (std::holds_alternative<video::EndOfStream>(event)) open_.reset();
  }
}

}  // namespace peregrine::eval
