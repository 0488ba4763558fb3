// SPDX-License-Identifier: Apache-2.0
// Operands on their way from the graph to a kernel: other shapes for the same memory, conversions,
// and constants in the order kernels want.
#pragma once

#include <cstdint>
#include <span>

#include "engine/cuda/lowering.h"

namespace peregrine::cuda {

/// [batch, channels, length] as a picture of height 1; other ranks stay.
compiler::Operand as_picture(compiler::Operand operand);
/// Rows (see Lowering::read_rows) as [rows, width, 1, 1]: a picture of single pixels, which a 1x1
/// convolution multiplies with a matrix.
compiler::Operand rows_as_pixels(const compiler::Operand& operand);
/// Axes in another order.
compiler::Operand permuted(const compiler::Operand& operand, const model::Ints& order);
/// The operand's part from `start`, `count` positions `step` apart on `axis`.
compiler::Operand sliced(compiler::Operand operand, std::size_t axis, std::int64_t start,
                         std::int64_t step, std::int64_t count);
/// Whether a step with such an operand would move nothing.
bool is_empty(const compiler::Operand& operand);

/// An address that stands for the operand's in checks of alignment: regions and buffers start at
/// multiples of 256.
TensorView alignment_view(const compiler::Operand& operand);
/// The element at index 0, and every one a stride away, is 16-byte aligned FP16: all strides but
/// `contiguous`'s are in eights.
bool is_aligned_half(const compiler::Operand& operand, std::size_t contiguous);
/// [batch, channels, y, x] of FP16 that picture kernels can read as it lies: channels in eights,
/// contiguous, pixels one uniform stride apart, everything at multiples of 16 bytes.
bool is_tile_picture(const compiler::Operand& x);

compiler::Operand half_weight(Lowering& to, std::span<const float> values, const Shape& shape);
compiler::Operand float_weight(Lowering& to, std::span<const float> values, const Shape& shape);
/// The value as it lies when it is stored in `dtype`, else converted: constants now, activations by
/// a copy step. Refuses dtypes that do not convert (all but float32 and float16). Absent for null.
compiler::Operand read_as(Lowering& to, const model::Node& node, const model::Value* value,
                          DType dtype);
/// The same, row-major without gaps.
compiler::Operand read_packed_as(Lowering& to, const model::Node& node, const model::Value* value,
                                 DType dtype);
/// A copy step between operands of one shape; several where the strides need more dimensions than
/// the kernel has.
void emit_copy(Lowering& to, const model::Node& node, compiler::Operand from,
               compiler::Operand place);

/// One to three numbers of spatial axes as the last of three, and strides of [batch, channels,
/// spatial...] as those of three spatial axes; what is not there stays.
void spread(const model::Ints& values, int (&to)[3]);
void spread_strides(const Shape& strides, std::int64_t (&to)[5]);

/// Whether anyone wants the node's output `index`.
bool is_wanted(const model::Node& node, std::size_t index);

inline std::int64_t round_up_8(std::int64_t count) { return (count + 7) / 8 * 8; }

}  // namespace peregrine::cuda
