// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/merge_axes.h"

namespace peregrine::cuda {

std::vector<MergedAxis> merge_axes(std::span<const std::int64_t> shape,
                                   const std::vector<std::span<const std::int64_t>>& strides) {
  std::vector<MergedAxis> axes;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;
    bool continues = !axes.empty();
    for (std::size_t t = 0; continues && t < strides.size(); ++t) {
      continues = strides[t][i] == axes.back().strides[t] * axes.back().extent;
    }
    if (continues) {
      axes.back().extent *= shape[i];
      continue;
    }
    MergedAxis axis;
    axis.extent = shape[i];
    for (const auto& each : strides) axis.strides.push_back(each[i]);
    axes.push_back(std::move(axis));
  }
  return axes;
}

}  // namespace peregrine::cuda
