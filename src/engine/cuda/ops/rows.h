// SPDX-License-Identifier: Apache-2.0
// What ops on rows share: steps whose operands all have one shape, of which the attribute "axes"
// names the reduced ones.
#pragma once

#include <span>
#include <vector>

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/rows.h"
#include "engine/cuda/lowering.h"

namespace peregrine::cuda {

/// Gives the step its axes and checks that the kernels can walk its operands; throws
/// `Error(kModelUnsupported)` naming the node when they cannot, or reach over 2^31 elements.
void set_axes(compiler::Step& step, const model::Node& node, const model::Ints& axes);

/// Such a step as the kernels take it: `tensors` are its inputs, then its outputs. Reduced outputs
/// have stride 0 along `axes`. Throws `Error(kModelInvalid)` when the step, which may come from
/// a file, contradicts itself.
struct BoundRows {
  Rows rows;
  std::vector<RowTensor> tensors;
};
BoundRows bind_rows(const BoundStep& step);

/// Where the name that is the step's `attribute` stands among `names`; throws
/// `Error(kModelInvalid)` when it does not.
std::size_t position_of_name(const compiler::Step& step, const char* attribute,
                             std::span<const char* const> names);

/// Whole steps, likewise; what `run_...` launches.
ReduceParams reduce_params(const BoundStep& step);
CumulativeSumParams cumulative_sum_params(const BoundStep& step);
NormalizeParams normalize_params(const BoundStep& step);
LocalResponseParams local_response_params(const BoundStep& step);

/// Emits a step that reduces `input` over `axes`; `name` as in "ReduceSum". `output` has the
/// input's shape, and strides 0 along the axes.
void emit_reduce(Lowering& to, const model::Node& node, const std::string& name,
                 compiler::Operand input, compiler::Operand output, const model::Ints& axes);

/// The operand as one of `shape`, to which it broadcasts.
compiler::Operand broadcast_to(compiler::Operand operand, const Shape& shape);

/// [0, rank) from `axis` (which may be negative) to the last.
model::Ints axes_from(std::int64_t axis, int rank);

}  // namespace peregrine::cuda
