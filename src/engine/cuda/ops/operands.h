// SPDX-License-Identifier: Apache-2.0
// What lowerings of convolutions, products, pools and attention share: other shapes for the same
// memory, and constants in the order kernels want.
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

/// An address that stands for the operand's in checks of alignment: regions and buffers start at
/// multiples of 256.
TensorView alignment_view(const compiler::Operand& operand);
/// The element at index 0, and every one a stride away, is 16-byte aligned FP16: all strides but
/// `contiguous`'s are in eights.
bool is_aligned_half(const compiler::Operand& operand, std::size_t contiguous);

compiler::Operand half_weight(Lowering& to, std::span<const float> values, const Shape& shape);
compiler::Operand float_weight(Lowering& to, std::span<const float> values, const Shape& shape);
/// A value of any kind in the dtype wanted: constants are converted now, activations as they lie
/// when they have it, else copied.
compiler::Operand read_as(Lowering& to, const model::Value* value, DType dtype);

/// Emits the step that packs `from` (its first `row_axes` axes count rows) into [rows, padded]
/// FP16, zeros behind each row (kernels/pack.h), and returns that.
compiler::Operand pack_rows(Lowering& to, const model::Node& node, const compiler::Operand& from,
                            int row_axes, std::int64_t padded);

/// Whether anyone wants the node's output `index`.
bool is_wanted(const model::Node& node, std::size_t index);

inline std::int64_t round_up_8(std::int64_t count) { return (count + 7) / 8 * 8; }

}  // namespace peregrine::cuda
