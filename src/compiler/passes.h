// SPDX-License-Identifier: Apache-2.0
// Graph to graph. Every pass works on a graph whose shapes are known (model::infer), keeps its
// answers (tests/compiler proves each with the reference interpreter), leaves dead nodes to
// Graph::remove_dead, and returns how many places it changed: what `peregrine build` prints.
#pragma once

#include "model/graph.h"

namespace peregrine::compiler {

/// Models stored in float16, bfloat16 or float64 become float32 inside; inputs and outputs keep
/// their dtype behind a Cast. An engine chooses its precision itself, from weights that are exact.
int to_float32(model::Graph& graph);

/// Identity, Dropout, Casts to the same type, and whatever moves nothing: Reshape, Transpose,
/// Slice, Pad, Expand, Tile, Resize, Concat and Split of one part. Squeeze, Unsqueeze and Flatten
/// become Reshape; chains of Reshape and of Transpose become one; arithmetic with 0 or 1 goes.
int remove_no_ops(model::Graph& graph);

/// BatchNormalization, and Mul, Add, Sub and Div with a constant per channel, into weights and bias
/// of the Conv, ConvTranspose, Gemm or MatMul before it: a MatMul's bias is its third input. A
/// BatchNormalization that has no such producer becomes Mul and Add.
int fold_affine(model::Graph& graph);

/// x * sigmoid(a x), x * HardSigmoid(x), x * tanh(softplus(x)), and both forms of GELU written out.
int recognise_activations(model::Graph& graph);

/// (x - mean) / sqrt(var + eps) * scale + bias over the last axes, written out.
int recognise_layer_norm(model::Graph& graph);

/// MatMul -> (scale) -> (mask) -> Softmax -> MatMul into one Attention, with the transposes around
/// it as layouts: the weights, tokens^2 a head, never reach memory.
int recognise_attention(model::Graph& graph);

/// The box decoder of YOLOv8 to v12 (distribution of distances, anchors, strides, sigmoid of
/// scores).
int recognise_box_decode(model::Graph& graph);

/// Conv, ConvTranspose, Gemm or MatMul -> activation: one node.
int fuse_activation(model::Graph& graph);

/// Conv, Gemm or MatMul -> Add of another tensor of the same shape (-> activation): one node.
int fuse_residual(model::Graph& graph);

/// Convolutions of equal geometry that read one tensor become one, its output split along channels
/// (no copies: engines keep both parts where they lie).
int merge_sibling_convs(model::Graph& graph);

/// Convolutions between convolutions whose channels do not come in eights make some more, which no
/// reader's weights touch.
int pad_channels(model::Graph& graph);

/// Float32 inputs [batch, 3, height, width] that only convolutions read become float16 [batch,
/// height, width, 4]: pixels of four halves, the last of which no one looks at. Not among
/// `compile_graph`'s: it changes what the caller brings.
int read_half_pixels(model::Graph& graph);

/// MatMuls with constants that read one tensor (the Q, K, V projections) become one and a Split.
int merge_sibling_matmuls(model::Graph& graph);

}  // namespace peregrine::compiler
