// SPDX-License-Identifier: Apache-2.0
// What the attributes of windowed ops mean for given shapes: one reading for shape inference, the
// reference loops, the cost model and the engines. All throw `Error(kModelInvalid)` naming the node
// when attributes and shapes contradict each other.
#pragma once

#include "model/graph.h"

namespace peregrine::model {

/// A window that slides over the spatial axes (H, W for pictures); one entry an axis.
/// Output position o covers input positions o * stride - pad_begin + k * dilation, k < kernel.
struct Window {
  Ints kernel, stride, dilation, pad_begin, pad_end, input, output;
  int rank() const { return static_cast<int>(kernel.size()); }
};

/// Conv: x [batch, channels_in, spatial...], w [channels_out, channels_in / groups, kernel...].
/// ConvTranspose: w [channels_in, channels_out / groups, kernel...]; `window.output` is y's size
/// and the window maps y to x, as if y were convolved into x.
struct ConvGeometry {
  std::int64_t batch = 0, channels_in = 0, channels_out = 0, groups = 1;
  Window window;
};

ConvGeometry conv_geometry(const Node& node, const Shape& x, const Shape& w);
ConvGeometry conv_transpose_geometry(const Node& node, const Shape& x, const Shape& w);
/// AveragePool, MaxPool, LpPool over x [batch, channels, spatial...]. `ceil_mode` is resolved: the
/// last windows may reach past the padded input.
Window pool_window(const Node& node, const Shape& x);

/// Resize: output size and scale of every axis of x. `scales` and `sizes` are the contents of
/// inputs 2 and 3 (the absent one empty).
struct ResizeGeometry {
  Shape output;
  Floats scales;              ///< output / input as ONNX defines it, 1 for axes not resized
  Floats roi_start, roi_end;  ///< for tf_crop_and_resize, else 0 and 1
};
ResizeGeometry resize_geometry(const Node& node, const Shape& x, const Floats& roi,
                               const Floats& scales, const Ints& sizes);

/// Broadcast shape of two by NumPy's rule. Throws `Error(kInvalidShape)`.
Shape broadcast(const Shape& a, const Shape& b);
/// `axis` in [-rank, rank) as [0, rank). Throws `Error(kInvalidShape)`.
std::int64_t wrap_axis(std::int64_t axis, std::int64_t rank);

/// Slice with defaults applied: `start` and `step` of every axis, `count` elements taken.
struct SliceRange {
  std::int64_t start = 0, step = 1, count = 0;
};
std::vector<SliceRange> slice_ranges(const Shape& x, const Ints& starts, const Ints& ends,
                                     const Ints& axes, const Ints& steps);

/// Pad: the input position that position `i` of an axis of `size` reads, counted from the input's
/// first one; -1 for the constant. `mode`: "constant", "reflect", "edge" or "wrap".
std::int64_t padded_source(const std::string& mode, std::int64_t i, std::int64_t size);

}  // namespace peregrine::model
