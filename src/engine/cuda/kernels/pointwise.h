// SPDX-License-Identifier: Apache-2.0
// Chains of elementwise ops in one launch: an accumulator starts as one operand, and each
// instruction changes it, perhaps with other operands. Floats compute in FP32, integers and bool in
// int64. Operands may be strided, broadcast, and of any dtype each.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/fast_divisor.h"
#include "peregrine/tensor.h"

namespace peregrine::cuda {

enum class PointwiseOp : std::uint8_t {
#define PEREGRINE_POINTWISE(name, floats, integers) k##name,
#include "engine/cuda/kernels/pointwise_ops.def"
#undef PEREGRINE_POINTWISE
};

struct PointwiseOpInfo {
  const char* name;
  bool floats, integers;  ///< has a form for them
};
const PointwiseOpInfo& info(PointwiseOp op);
/// Null when no op has that name.
const PointwiseOp* find_pointwise_op(std::string_view name);

/// a = op(a, x, y). An operand is a tensor (its index), a number, or nothing.
struct PointwiseInstruction {
  static constexpr int kNothing = -2, kNumber = -1;
  PointwiseOp op = PointwiseOp::kLoad;
  bool swapped = false;  ///< op(x, a)
  std::int8_t x = kNothing, y = kNothing;
  float x_real = 0, y_real = 0;               ///< the numbers where the chain computes in floats
  std::int64_t x_integer = 0, y_integer = 0;  ///< and where in integers
  float alpha = 0, beta = 0;                  ///< of the op itself
};

struct PointwiseParams {
  static constexpr int kMaxRank = 6, kMaxTensors = 8, kMaxInstructions = 16;
  struct StridedTensor {
    void* data = nullptr;
    DType dtype = DType::kFloat32;
    std::array<int, kMaxRank> strides{};  ///< elements, innermost dimension first
  };
  bool integers = false;  ///< computes in int64, else in float32
  int count = 0;
  int rank = 0;  ///< after merging
  std::array<FastDivisor, kMaxRank> extents;
  int instruction_count = 0;
  std::array<PointwiseInstruction, kMaxInstructions> instructions;
  std::array<StridedTensor, kMaxTensors> inputs;
  StridedTensor output;
  int input_count = 0;
};

/// Everything but instructions and addresses. All inputs are broadcast to `shape` by stride 0.
/// Throws `Error(kModelUnsupported)` when more than six dimensions are left after merging, or a
/// tensor reaches over 2^31 elements.
PointwiseParams make_pointwise(std::span<const std::int64_t> shape, const Shape& output_strides,
                               std::span<const Shape> input_strides);

/// How many consecutive elements a thread can take with wide accesses: 8, 4, or 1 when strides or
/// addresses rule that out. Wants addresses and dtypes.
int pointwise_width(const PointwiseParams& params);

void launch_pointwise(const PointwiseParams& params, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
