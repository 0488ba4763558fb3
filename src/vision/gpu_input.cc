// SPDX-License-Identifier: Apache-2.0
#include "vision/gpu_input.h"

#include <algorithm>

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "core/cuda/check.h"
#include "peregrine/error.h"
#include "vision/picture_input.h"

namespace peregrine::vision {

int check_picture_input(const Engine& engine, const InputSpec& input) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("engine '{}' {}", engine.description(), what));
  };
  if (engine.device().is_cpu() || engine.inputs().size() != 1) {
    refuse(fmt::format("has {} inputs on {}; one on a GPU is wanted", engine.inputs().size(),
                       to_string(engine.device())));
  }
  CUDA_CHECK(cudaSetDevice(engine.device().index));
  const TensorSpec spec = planar_spec(engine.inputs()[0]);
  const Shape wanted{-1, 3, input.height, input.width};
  const bool fits = spec.shape.size() == 4 &&
                    std::equal(spec.shape.begin() + 1, spec.shape.end(), wanted.begin() + 1);
  const bool floats = spec.dtype == DType::kFloat32 || spec.dtype == DType::kFloat16;
  if (!fits || !floats) {
    refuse(fmt::format("takes {} {} as '{}', not float32 {}", to_string(spec.dtype),
                       to_string(spec.shape), spec.name, to_string(wanted)));
  }
  for (const TensorSpec& output : engine.outputs()) {
    if (output.dtype == DType::kFloat32) continue;
    refuse(
        fmt::format("writes {} to '{}'; float32 is wanted", to_string(output.dtype), output.name));
  }
  return spec.shape[0] > 0 ? std::min(engine.max_batch(), static_cast<int>(spec.shape[0]))
                           : engine.max_batch();
}

}  // namespace peregrine::vision
