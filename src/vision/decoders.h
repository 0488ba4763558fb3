// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vision/output_decoder.h"

namespace peregrine::vision {

/// Detect, segment, pose and obb, over each box head.
std::unique_ptr<OutputDecoder> make_box_decoder(const TaskSpec& spec, const DecodeOptions& options);
/// Detect, over the heads of DETR and RT-DETR.
std::unique_ptr<OutputDecoder> make_detr_decoder(const TaskSpec& spec,
                                                 const DecodeOptions& options);
std::unique_ptr<OutputDecoder> make_classify_decoder(const TaskSpec& spec);
std::unique_ptr<OutputDecoder> make_embed_decoder(const TaskSpec& spec);
std::unique_ptr<OutputDecoder> make_depth_decoder(const TaskSpec& spec);

/// Throws `Error(kInvalidArgument)` unless the picture is stretched to the input: the map then
/// covers the picture, edge to edge.
void check_depth_input(const TaskSpec& spec);
/// Throws `Error(kInvalidShape)` unless an output of 3 or 4 dimensions is maps.
void check_depth_shape(const TaskSpec& spec, const Shape& shape);

/// The output at `index`, checked: present, float32, packed, on the host, of `rank` dimensions and
/// with picture `item` in its batch. Throws `Error(kInvalidShape)`.
const TensorView& output_at(std::span<const TensorView> outputs, int index, std::size_t rank,
                            int item);

/// One picture's row of an output [batch, n] or [batch, n, 1, 1], checked alike.
std::span<const float> row_at(std::span<const TensorView> outputs, int index, int item);

/// Scales to unit length; a row of zeros stays.
void normalize(std::span<float> row);

}  // namespace peregrine::vision
