// SPDX-License-Identifier: Apache-2.0
// Shape rules: what dtype and shape an op's outputs have, from its inputs' dtypes, shapes and,
// where the op asks for them (Reshape's shape, Slice's starts), contents. Shape inference calls
// them with the constants it knows, the reference interpreter with every tensor at hand.
#pragma once

#include <optional>
#include <vector>

#include "model/graph.h"

namespace peregrine::model {

struct TensorInfo {
  DType dtype = DType::kFloat32;
  Shape shape;
};

/// One input as a rule sees it.
struct RuleInput {
  bool present = false;
  DType dtype = DType::kFloat32;
  const Shape* shape = nullptr;
  const Tensor* contents = nullptr;  ///< null when not known
};

class RuleContext {
 public:
  RuleContext(const Node& node, std::vector<RuleInput> inputs);

  const Node& node() const { return node_; }
  const Attributes& attributes() const { return node_.attributes; }
  int input_count() const { return static_cast<int>(inputs_.size()); }
  int output_count() const { return static_cast<int>(node_.outputs().size()); }
  bool has(int index) const;
  const Shape& shape(int index) const;
  DType dtype(int index) const;
  std::int64_t rank(int index) const { return static_cast<std::int64_t>(shape(index).size()); }
  /// Contents of an integer input; empty when the input is absent. Throws
  /// `Error(kModelUnsupported)` when they depend on the model's inputs.
  Ints ints(int index) const;
  Floats floats(int index) const;
  bool contents_known(int index) const;
  /// A single number of any dtype.
  double number(int index) const;

  /// States an output. Throws `Error(kModelInvalid)` for a shape beyond any machine.
  void set(int index, DType dtype, Shape shape);
  std::vector<std::optional<TensorInfo>> take_outputs() { return std::move(outputs_); }

  /// Throw `Error(kModelInvalid)` and `Error(kModelUnsupported)`, naming the node.
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void unsupported(const std::string& what) const;

 private:
  const RuleInput& at(int index) const;
  const Tensor& contents(int index) const;

  const Node& node_;
  std::vector<RuleInput> inputs_;
  std::vector<std::optional<TensorInfo>> outputs_;
};

/// Applies the op's rule. An output stays empty when its shape depends on data (NonZero,
/// NonMaxSuppression). Throws `Error(kModelInvalid)` and `Error(kModelUnsupported)`, naming the
/// node.
std::vector<std::optional<TensorInfo>> apply_rule(const Node& node, std::vector<RuleInput> inputs);

/// Integers or floats of a tensor of any dtype of that kind. Throws `Error(kInvalidShape)`.
Ints to_ints(const Tensor& tensor);
Floats to_floats(const Tensor& tensor);

namespace rules {
using Rule = void (*)(RuleContext&);
#define PEREGRINE_RULE(rule) void rule(RuleContext& context);
PEREGRINE_RULE(arg_reduce)
PEREGRINE_RULE(attention)
PEREGRINE_RULE(box_decode)
PEREGRINE_RULE(broadcast)
PEREGRINE_RULE(broadcast_bool)
PEREGRINE_RULE(cast)
PEREGRINE_RULE(cast_like)
PEREGRINE_RULE(center_crop_pad)
PEREGRINE_RULE(compress)
PEREGRINE_RULE(concat)
PEREGRINE_RULE(constant_of_shape)
PEREGRINE_RULE(conv)
PEREGRINE_RULE(conv_transpose)
PEREGRINE_RULE(depth_to_space)
PEREGRINE_RULE(dequantize)
PEREGRINE_RULE(dropout)
PEREGRINE_RULE(einsum)
PEREGRINE_RULE(expand)
PEREGRINE_RULE(eye_like)
PEREGRINE_RULE(flatten)
PEREGRINE_RULE(gather)
PEREGRINE_RULE(gather_elements)
PEREGRINE_RULE(gather_nd)
PEREGRINE_RULE(gemm)
PEREGRINE_RULE(global_pool)
PEREGRINE_RULE(grid_sample)
PEREGRINE_RULE(layer_normalization)
PEREGRINE_RULE(matmul)
PEREGRINE_RULE(non_max_suppression)
PEREGRINE_RULE(non_zero)
PEREGRINE_RULE(one_hot)
PEREGRINE_RULE(pad)
PEREGRINE_RULE(pool)
PEREGRINE_RULE(quantize)
PEREGRINE_RULE(range)
PEREGRINE_RULE(reduce)
PEREGRINE_RULE(reshape)
PEREGRINE_RULE(resize)
PEREGRINE_RULE(roi_align)
PEREGRINE_RULE(same)
PEREGRINE_RULE(same_as_bool)
PEREGRINE_RULE(shape)
PEREGRINE_RULE(size)
PEREGRINE_RULE(slice)
PEREGRINE_RULE(space_to_depth)
PEREGRINE_RULE(split)
PEREGRINE_RULE(squeeze)
PEREGRINE_RULE(tile)
PEREGRINE_RULE(top_k)
PEREGRINE_RULE(transpose)
PEREGRINE_RULE(unsqueeze)
PEREGRINE_RULE(where)
#undef PEREGRINE_RULE
}  // namespace rules

}  // namespace peregrine::model
