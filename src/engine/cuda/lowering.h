// SPDX-License-Identifier: Apache-2.0
// Graph to program. What needs no work (reshapes, transposes, slices, most concatenations) becomes
// strides; every other node goes to the lowering function of its op (ops.def, ops/*.cc), which
// states what its kernel reads and writes and emits one step or a few.
//
// A lowering function:
//   void lower_softmax(Lowering& to, const Node& node) {
//     Step step = to.step("softmax", node);
//     step.inputs = {to.read_rows(node.input(0))};       // a copy is put in front where needed
//     step.outputs = {to.write_packed(node.output())};   // and behind
//     to.emit(std::move(step));
//   }
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/memory_planner.h"
#include "compiler/program.h"
#include "compiler/schedule.h"
#include "engine/cuda/layout.h"
#include "engine/cuda/weight_store.h"
#include "model/graph.h"

namespace peregrine::cuda {

class Lowering {
 public:
  /// Shapes of `graph` must be known and its passes done. Reports what it cannot do by throwing
  /// `Error(kModelUnsupported)` that names the node and the reason.
  Lowering(const model::Graph& graph, Precision precision, WeightStore& weights);
  compiler::Program run();

  /// A step for `node` with its name, origins and epilogue, and no operands yet.
  compiler::Step step(const char* kernel, const model::Node& node) const;

  /// The value as it lies: any strides, in the dtype it is stored in (see `dtype`). Absent for
  /// null.
  compiler::Operand read(const model::Value* value);
  /// Row-major without gaps.
  compiler::Operand read_packed(const model::Value* value);
  compiler::Operand read_packed(const model::Value* value, DType dtype);
  /// Last axis contiguous, rows one uniform stride apart.
  compiler::Operand read_rows(const model::Value* value, DType dtype);
  /// [batch, channels, spatial...] with channels contiguous, pixels one uniform stride apart.
  compiler::Operand read_picture(const model::Value* value, DType dtype);

  /// Where the result must go: any strides, the dtype it is stored in.
  compiler::Operand write(const model::Value* value);
  /// The same for kernels that are choosier; where the value's own place does not suit, a scratch
  /// operand is returned, and a copy follows the next `emit`.
  compiler::Operand write_packed(const model::Value* value);
  compiler::Operand write_packed(const model::Value* value, DType dtype);
  compiler::Operand write_rows(const model::Value* value, DType dtype);
  /// Channels contiguous, or in float32 any distance apart (planes); pixels one uniform stride
  /// apart within an image, images any distance apart.
  compiler::Operand write_images(const model::Value* value, DType dtype);

  /// Memory for something between two steps of one node; packed, or of other dense strides.
  compiler::Operand scratch(DType dtype, const Shape& shape);
  compiler::Operand scratch(DType dtype, const Shape& shape, const Shape& strides);
  /// A constant, packed; equal contents are stored once.
  compiler::Operand weight(const Tensor& tensor);
  /// A copy step to packed scratch memory of another dtype or order.
  compiler::Operand copied(const compiler::Operand& from, DType dtype, const Shape& strides);

  void emit(compiler::Step step);

  /// The dtype a value is stored in: floats are float16 or float32 as the precision rule says.
  DType dtype(const model::Value* value) const { return layout_.dtype(value); }
  /// What a convolution reads in place of its input; empty for most.
  const std::vector<PictureSource>& sources(const model::Node& conv) const {
    return layout_.sources(&conv);
  }
  /// What the engine computes in where it has the choice: float16 in an FP16 plan.
  DType compute_dtype() const;
  Precision precision() const { return precision_; }

  /// Contents of a constant input; throws `Error(kModelUnsupported)` naming node and input when it
  /// is not known at build time.
  model::Ints ints(const model::Node& node, int input) const;
  std::vector<float> floats(const model::Node& node, int input) const;
  /// "node 'x' (Op): reason".
  [[noreturn]] static void refuse(const model::Node& node, const std::string& reason);

 private:
  compiler::Operand in_region(const Storage& storage, const model::Value* value);
  compiler::Operand fitted(const model::Value* value, DType dtype, bool fits, const Shape& strides);
  // A piece of the arena, by Operand::index until the arena is planned.
  struct Buffer {
    DType dtype = DType::kFloat32;
    Shape shape, strides;
  };
  compiler::Dependencies dependencies() const;
  void assign_streams();
  void settle(const compiler::ArenaPlan& plan);

  const model::Graph& graph_;
  Precision precision_;
  WeightStore& weights_;
  Layout layout_;
  const model::Node* current_ = nullptr;
  compiler::Program program_;
  std::vector<Buffer> arena_;
  std::map<const model::Value*, int> buffers_;
  std::vector<std::pair<compiler::Operand, compiler::Operand>> pending_;  // scratch -> place
};

/// One function an op: declared here by the table, defined in ops/.
#define PEREGRINE_OP(name, min_in, max_in, min_out, max_out, promotion, shape, reference, cuda) \
  void lower_##cuda(Lowering& to, const model::Node& node);
#include "model/ops.def"
#undef PEREGRINE_OP

}  // namespace peregrine::cuda
