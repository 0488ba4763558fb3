// SPDX-License-Identifier: Apache-2.0
// Resize is separable: each axis is resampled on its own, by a small list of weighted sources for
// every output position. One reading of ONNX's modes for the reference loops and the engines.
#pragma once

#include <vector>

#include "model/geometry.h"

namespace peregrine::model {

struct ResizeTap {
  std::int64_t index;  ///< input position, inside the axis
  double weight;
};
struct ResizePosition {
  std::vector<ResizeTap> taps;
  bool outside = false;  ///< tf_crop_and_resize: the extrapolation value stands here
};

/// The taps of all output positions of `axis`, whose input has `input` > 0 positions. Throws
/// `Error(kModelUnsupported)` naming the node for a mode that ONNX does not have.
std::vector<ResizePosition> resize_positions(const Node& node, const ResizeGeometry& geometry,
                                             std::size_t axis, std::int64_t input);

/// Whether the axis stays as it is.
bool resize_keeps(const Node& node, const ResizeGeometry& geometry, std::size_t axis,
                  std::int64_t input);

}  // namespace peregrine::model
