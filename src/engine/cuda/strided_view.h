// SPDX-License-Identifier: Apache-2.0
// Nodes that are nothing but strides on their input.
#pragma once

#include <cstddef>
#include <optional>

#include "model/graph.h"

namespace peregrine::cuda {

/// The strided form of a movement node on an input of the given strides: offset (elements) and
/// strides of output `index`; none when it has to move data.
struct StridedView {
  std::int64_t offset = 0;
  Shape strides;
};
std::optional<StridedView> strided_view(const model::Node& node, std::size_t output,
                                        const Shape& input_strides);

/// A run of a Concat's inputs that is one value cut up along the axis, in order, by a Split or by
/// Slices: the value can then lie in the Concat itself and nothing moves (YOLO's C2f and C3k2).
struct Cut {
  const model::Value* source = nullptr;
  std::size_t parts = 0;
};
/// The run that begins with input `first`; none where it is no whole value.
std::optional<Cut> whole_cut(const model::Node& concat, std::size_t first, std::size_t axis);

}  // namespace peregrine::cuda
