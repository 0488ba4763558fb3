// SPDX-License-Identifier: Apache-2.0
// Arithmetic on strides: which rearrangements of a tensor need no copy.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "model/attributes.h"
#include "peregrine/tensor.h"

namespace peregrine::compiler {

/// Strides under which a tensor of `shape` and `strides` is also one of `target` (as many
/// elements); none when only a copy can make it so. Axes of length 1 have no say.
std::optional<Shape> reshape_strides(const Shape& shape, const Shape& strides, const Shape& target);
/// Entry i of the result is entry `permutation[i]`.
Shape permuted(const Shape& of, const model::Ints& permutation);
model::Ints inverse_permutation(const model::Ints& permutation);

/// Strides that read a tensor of `shape` and `strides` as one of `target`, which it broadcasts to
/// by NumPy's rule.
Shape broadcast_strides(const Shape& shape, const Shape& strides, const Shape& target);

/// Packed strides of `shape` whose memory order is that of `like` (largest stride outermost, ties
/// by position); axes of `like` with stride 0 or length 1 stay in their place.
Shape packed_like(const Shape& shape, const Shape& like_shape, const Shape& like);
/// Channels innermost: [batch, channels, spatial...] laid out as NHWC.
Shape channels_last(const Shape& shape);

/// Whether both place the elements of `shape` alike: axes of length 1 have no say.
bool same_strides(const Shape& shape, const Shape& a, const Shape& b);

/// Row-major without gaps, axes of length 1 aside.
bool is_packed(const Shape& shape, const Shape& strides);
/// [batch, channels, spatial...] with channels contiguous and pixels one uniform stride apart
/// across the whole batch; the stride, none when it is not so. A single pixel has stride
/// `channels`.
std::optional<std::int64_t> pixel_stride(const Shape& shape, const Shape& strides);
/// The same of each image by itself: images may lie any distance apart.
std::optional<std::int64_t> image_pixel_stride(const Shape& shape, const Shape& strides);
/// Planes, whose channels may lie any distance apart: the same of the pixels of one channel.
std::optional<std::int64_t> plane_pixel_stride(const Shape& shape, const Shape& strides);
/// Rows (the last axis) contiguous and one uniform stride apart; the stride, none when it is not
/// so.
std::optional<std::int64_t> row_stride(const Shape& shape, const Shape& strides);

}  // namespace peregrine::compiler
