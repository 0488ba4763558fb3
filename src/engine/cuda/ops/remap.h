// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cuda/lowering.h"

namespace peregrine::cuda {

/// Where each position of an output axis reads the input axis; -1: the fill value.
struct AxisTable {
  std::size_t axis = 0;
  std::vector<std::int32_t> positions;
};

/// y = x with some axes read through tables; axes without one are as long in both. `fill` is the
/// bit pattern of one element of y. Copies where tables are evenly spaced or repeat each position
/// equally often, else one launch for every four axes.
void emit_remap(Lowering& to, const model::Node& node, const model::Value* x, const model::Value* y,
                std::vector<AxisTable> tables, std::uint64_t fill);

/// Bit pattern of a tensor's first element in another dtype.
std::uint64_t element_bits(const Tensor& value, DType dtype);

}  // namespace peregrine::cuda
