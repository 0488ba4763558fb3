// SPDX-License-Identifier: Apache-2.0
// The reference interpreter's kernels: what each op means, in plain loops, one family a file.
#pragma once

#include <cstdint>
#include <span>

#include "model/graph.h"

namespace peregrine::model::reference {

/// What a kernel sees. Outputs are allocated to the shapes of the op's rule (a data-dependent op
/// assigns its own). For ops of promotion kMath every tensor is float32, float64 or int64.
struct KernelContext {
  const Node& node;
  std::span<const Tensor* const> inputs;  ///< null where absent
  std::span<Tensor> outputs;

  const Attributes& attributes() const { return node.attributes; }
  bool has(std::size_t index) const { return index < inputs.size() && inputs[index]; }
  const Tensor& in(std::size_t index) const { return *inputs[index]; }
  const Shape& shape(std::size_t index) const { return inputs[index]->shape(); }
  Tensor& out(std::size_t index = 0) const { return outputs[index]; }
  bool wants(std::size_t index) const { return index < outputs.size() && !outputs[index].empty(); }
  /// Throws `Error(kModelUnsupported)` naming the node.
  [[noreturn]] void fail(const std::string& what) const;

  template <typename T>
  const T* data(std::size_t index) const {
    return inputs[index]->as<T>().data();
  }
  template <typename T>
  T* result(std::size_t index = 0) const {
    return outputs[index].as<T>().data();
  }
};

using Kernel = void (*)(const KernelContext&);

/// Calls `f` with a value of the tensor's type, which is float, double or int64.
template <typename F>
void with_math_type(const KernelContext& context, DType dtype, F&& f) {
  if (dtype == DType::kFloat32) return f(float{});
  if (dtype == DType::kFloat64) return f(double{});
  if (dtype == DType::kInt64) return f(std::int64_t{});
  context.fail("meets a dtype it does not compute in");
}
template <typename F>
void with_float_type(const KernelContext& context, DType dtype, F&& f) {
  if (dtype == DType::kFloat32) return f(float{});
  if (dtype == DType::kFloat64) return f(double{});
  context.fail("computes with floats only");
}

/// The three sizes an axis cuts a tensor into: everything before it, the axis, everything after.
struct AxisView {
  std::int64_t outer = 1, extent = 1, inner = 1;
};
AxisView axis_view(const Shape& shape, std::int64_t axis);

/// Walks all positions of `shape` in row-major order, keeping one offset per stride set in step.
/// Strides count elements; 0 broadcasts.
class Walker {
 public:
  Walker(const Shape& shape, std::vector<Ints> strides);
  std::int64_t offset(std::size_t set) const { return offsets_[set]; }
  void next();

 private:
  Shape shape_;
  std::vector<Ints> strides_;
  Ints position_;
  Ints offsets_;
};
/// Strides that read a tensor of shape `from` as if it had the broadcast shape `to`.
Ints broadcast_strides(const Shape& from, const Shape& to);

/// c [m, n] = a [m, k] * b [k, n], row-major, leading dimensions given; adds to c when
/// `accumulate`.
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
              const float* b, std::int64_t ldb, float* c, std::int64_t ldc, bool accumulate);

/// Applies a node's epilogue to its finished output. `residual` may be null.
void apply_epilogue(const Node& node, Tensor& output, const Tensor* residual);

namespace kernels {
#define PEREGRINE_KERNEL(kernel) void kernel(const KernelContext& context);
PEREGRINE_KERNEL(arg_reduce)
PEREGRINE_KERNEL(attention)
PEREGRINE_KERNEL(average_pool)
PEREGRINE_KERNEL(batch_normalization)
PEREGRINE_KERNEL(binary)
PEREGRINE_KERNEL(box_decode)
PEREGRINE_KERNEL(cast)
PEREGRINE_KERNEL(center_crop_pad)
PEREGRINE_KERNEL(clip)
PEREGRINE_KERNEL(compress)
PEREGRINE_KERNEL(concat)
PEREGRINE_KERNEL(constant_of_shape)
PEREGRINE_KERNEL(conv)
PEREGRINE_KERNEL(conv_transpose)
PEREGRINE_KERNEL(copy)
PEREGRINE_KERNEL(cumulative_sum)
PEREGRINE_KERNEL(depth_to_space)
PEREGRINE_KERNEL(dequantize)
PEREGRINE_KERNEL(dropout)
PEREGRINE_KERNEL(einsum)
PEREGRINE_KERNEL(expand)
PEREGRINE_KERNEL(eye_like)
PEREGRINE_KERNEL(gather)
PEREGRINE_KERNEL(gather_elements)
PEREGRINE_KERNEL(gather_nd)
PEREGRINE_KERNEL(gemm)
PEREGRINE_KERNEL(global_average_pool)
PEREGRINE_KERNEL(global_lp_pool)
PEREGRINE_KERNEL(global_max_pool)
PEREGRINE_KERNEL(grid_sample)
PEREGRINE_KERNEL(group_normalization)
PEREGRINE_KERNEL(instance_normalization)
PEREGRINE_KERNEL(layer_normalization)
PEREGRINE_KERNEL(local_response_normalization)
PEREGRINE_KERNEL(lp_normalization)
PEREGRINE_KERNEL(lp_pool)
PEREGRINE_KERNEL(matmul)
PEREGRINE_KERNEL(max_pool)
PEREGRINE_KERNEL(mean_variance_normalization)
PEREGRINE_KERNEL(non_max_suppression)
PEREGRINE_KERNEL(non_zero)
PEREGRINE_KERNEL(one_hot)
PEREGRINE_KERNEL(pad)
PEREGRINE_KERNEL(power)
PEREGRINE_KERNEL(quantize)
PEREGRINE_KERNEL(range)
PEREGRINE_KERNEL(reduce)
PEREGRINE_KERNEL(resize)
PEREGRINE_KERNEL(reverse_sequence)
PEREGRINE_KERNEL(rms_normalization)
PEREGRINE_KERNEL(roi_align)
PEREGRINE_KERNEL(scatter_elements)
PEREGRINE_KERNEL(scatter_nd)
PEREGRINE_KERNEL(shape)
PEREGRINE_KERNEL(size)
PEREGRINE_KERNEL(slice)
PEREGRINE_KERNEL(softmax)
PEREGRINE_KERNEL(space_to_depth)
PEREGRINE_KERNEL(split)
PEREGRINE_KERNEL(tile)
PEREGRINE_KERNEL(top_k)
PEREGRINE_KERNEL(transpose)
PEREGRINE_KERNEL(trilu)
PEREGRINE_KERNEL(unary)
PEREGRINE_KERNEL(variadic)
PEREGRINE_KERNEL(where)
#undef PEREGRINE_KERNEL
}  // namespace kernels

}  // namespace peregrine::model::reference
