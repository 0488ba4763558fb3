// SPDX-License-Identifier: Apache-2.0
#include "engine/bindings.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/tensor_spec.h"
#include "peregrine/error.h"

namespace peregrine::engine {
namespace {

bool fits(const Shape& given, const Shape& spec, int batch) {
  if (given.size() != spec.size()) return false;
  for (std::size_t i = 0; i < spec.size(); ++i) {
    if (given[i] != (spec[i] < 0 ? batch : spec[i])) return false;
  }
  return true;
}

// Empty when the view fits.
std::string misfit(const TensorSpec& spec, const TensorView& view, int batch, Device device) {
  if (view.dtype != spec.dtype) {
    return fmt::format("is {}, but the model has {}", to_string(view.dtype), to_string(spec.dtype));
  }
  if (!fits(view.shape, spec.shape, batch)) {
    return fmt::format("has shape {}, but the model has {} at batch {}", to_string(view.shape),
                       to_string(with_batch(spec, batch)), batch);
  }
  if (view.device != device) {
    return fmt::format("is on {}, but the engine is on {}", to_string(view.device),
                       to_string(device));
  }
  if (view.strides.size() != view.shape.size() || !view.is_packed()) {
    return "is not packed (row-major, without gaps)";
  }
  if (!view.data) return "has no memory";
  return "";
}

}  // namespace

void check_bindings(const std::string& model, const char* side,
                    const std::vector<TensorSpec>& specs, std::span<const TensorView> views,
                    int batch, int max_batch, Device device) {
  if (batch < 1 || batch > max_batch) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("model '{}': batch {} is outside 1 to {}, the engine's largest", model,
                            batch, max_batch));
  }
  if (views.size() != specs.size()) {
    throw Error(ErrorCode::kInvalidShape, fmt::format("model '{}' has {} {}(s), {} were bound",
                                                      model, specs.size(), side, views.size()));
  }
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const std::string problem = misfit(specs[i], views[i], batch, device);
    if (problem.empty()) continue;
    throw Error(ErrorCode::kInvalidShape, fmt::format("model '{}': the tensor bound to {} '{}' {}",
                                                      model, side, specs[i].name, problem));
  }
}

}  // namespace peregrine::engine
