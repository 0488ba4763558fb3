// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/lowering.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "compiler/rewrite.h"
#include "compiler/strided.h"
#include "model/convert.h"
#include "model/cost.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

using compiler::Operand;
using compiler::Region;
using compiler::Step;
using model::Node;
using model::Value;

using LowerOp = void (*)(Lowering&, const Node&);
constexpr LowerOp kLowerings[] = {
#define PEREGRINE_OP(name, min_in, max_in, min_out, max_out, promotion, shape, reference, cuda) \
  &lower_##cuda,
#include "model/ops.def"
#undef PEREGRINE_OP
};
static_assert(std::size(kLowerings) == model::kOpCount);

std::int64_t bytes_of(DType dtype) { return static_cast<std::int64_t>(size_of(dtype)); }

}  // namespace

Lowering::Lowering(const model::Graph& graph, Precision precision, WeightStore& weights)
    : graph_(graph), precision_(precision), weights_(weights), layout_(graph, precision) {
  program_.batch = std::max<std::int64_t>(graph.batch, 1);
}

compiler::Program Lowering::run() {
  std::int64_t unplaced_flops = 0;
  for (const Node* node : graph_.nodes()) {
    if (layout_.is_view(node) || layout_.is_read_through(node)) continue;
    current_ = node;
    const std::size_t first = program_.steps.size();
    kLowerings[static_cast<std::size_t>(node->op())](*this, *node);
    unplaced_flops += model::node_cost(*node).flops;
    // The last step that computes; nodes of a chain emit nothing until its end.
    for (std::size_t i = program_.steps.size(); i-- > first;) {
      if (program_.steps[i].kernel == "copy") continue;
      program_.steps[i].flops = std::exchange(unplaced_flops, 0);
      break;
    }
  }
  // Outputs that their producer could not write in place.
  for (std::size_t k = 0; k < graph_.outputs().size(); ++k) {
    const Value* output = graph_.outputs()[k];
    if (layout_.output_of(layout_.storage(output).root) == static_cast<int>(k) &&
        layout_.storage(output).root == output) {
      continue;
    }
    Step copy;
    copy.kernel = "copy";
    copy.name = graph_.output_names()[k];
    if (output->producer()) copy.origins = output->producer()->origins();
    copy.inputs = {read(output)};
    copy.outputs = {{Region::kOutput, static_cast<int>(k), 0, output->dtype, output->shape,
                     packed_strides(output->shape), output->name}};
    program_.steps.push_back(std::move(copy));
  }
  assign_streams();
  return std::move(program_);
}

Step Lowering::step(const char* kernel, const Node& node) const {
  Step step;
  step.kernel = kernel;
  step.name = node.name();
  step.origins = node.origins();
  step.epilogue = node.epilogue;
  step.flops = model::node_cost(node).flops;
  return step;
}

DType Lowering::compute_dtype() const {
  return precision_ == Precision::kFloat16 ? DType::kFloat16 : DType::kFloat32;
}

Operand Lowering::in_region(const Storage& storage, const Value* value) {
  Operand operand;
  operand.dtype = dtype(value);
  operand.shape = value->shape;
  operand.strides = storage.strides;
  operand.value = value->name;
  operand.offset = storage.offset * bytes_of(operand.dtype);
  const Value* root = storage.root;
  if (root->is_constant()) {
    const Tensor& tensor = *root->constant();
    operand.region = Region::kWeights;
    operand.offset += weights_.add({static_cast<const std::byte*>(tensor.data()), tensor.bytes()});
    return operand;
  }
  if (const auto output = layout_.output_of(root)) {
    operand.region = Region::kOutput;
    operand.index = *output;
    return operand;
  }
  const auto& inputs = graph_.inputs();
  if (const auto at = std::find(inputs.begin(), inputs.end(), root); at != inputs.end()) {
    operand.region = Region::kInput;
    operand.index = static_cast<int>(at - inputs.begin());
    return operand;
  }
  operand.region = Region::kArena;
  const auto [buffer, added] = buffers_.try_emplace(root, static_cast<int>(arena_.size()));
  if (added) arena_.push_back({dtype(root), root->shape, layout_.storage(root).strides});
  operand.index = buffer->second;
  return operand;
}

Operand Lowering::read(const Value* value) {
  return value ? in_region(layout_.storage(value), value) : Operand{};
}

Operand Lowering::copied(const Operand& from, DType dtype, const Shape& strides) {
  Operand to = scratch(dtype, from.shape, strides);
  Step copy = step("copy", *current_);
  copy.epilogue = {};
  copy.flops = 0;
  copy.inputs = {from};
  copy.outputs = {to};
  emit(std::move(copy));
  return to;
}

Operand Lowering::read_packed(const Value* value) { return read_packed(value, dtype(value)); }

Operand Lowering::read_packed(const Value* value, DType wanted) {
  if (!value) return {};
  const Operand operand = read(value);
  if (operand.dtype == wanted && compiler::is_packed(operand.shape, operand.strides)) {
    return operand;
  }
  return copied(operand, wanted, packed_strides(operand.shape));
}

Operand Lowering::read_rows(const Value* value, DType wanted) {
  if (!value) return {};
  const Operand operand = read(value);
  if (operand.dtype == wanted && compiler::row_stride(operand.shape, operand.strides)) {
    return operand;
  }
  return copied(operand, wanted, packed_strides(operand.shape));
}

Operand Lowering::read_picture(const Value* value, DType wanted) {
  if (!value) return {};
  const Operand operand = read(value);
  if (operand.dtype == wanted && compiler::pixel_stride(operand.shape, operand.strides)) {
    return operand;
  }
  return copied(operand, wanted, compiler::channels_last(operand.shape));
}

Operand Lowering::write(const Value* value) { return in_region(layout_.storage(value), value); }

Operand Lowering::fitted(const Value* value, DType wanted, bool fits, const Shape& strides) {
  const Operand place = write(value);
  if (place.dtype == wanted && fits) return place;
  Operand own = scratch(wanted, place.shape, strides);
  pending_.emplace_back(own, place);
  return own;
}

Operand Lowering::write_packed(const Value* value) { return write_packed(value, dtype(value)); }

Operand Lowering::write_packed(const Value* value, DType wanted) {
  return fitted(value, wanted, compiler::is_packed(value->shape, layout_.storage(value).strides),
                packed_strides(value->shape));
}

Operand Lowering::write_rows(const Value* value, DType wanted) {
  return fitted(value, wanted,
                compiler::row_stride(value->shape, layout_.storage(value).strides).has_value(),
                packed_strides(value->shape));
}

Operand Lowering::write_images(const Value* value, DType wanted) {
  const Shape& strides = layout_.storage(value).strides;
  const bool fits = wanted == DType::kFloat32
                        ? compiler::plane_pixel_stride(value->shape, strides).has_value()
                        : compiler::image_pixel_stride(value->shape, strides).has_value();
  return fitted(value, wanted, fits, compiler::channels_last(value->shape));
}

Operand Lowering::scratch(DType dtype, const Shape& shape) {
  return scratch(dtype, shape, packed_strides(shape));
}

Operand Lowering::scratch(DType dtype, const Shape& shape, const Shape& strides) {
  Operand operand;
  operand.region = Region::kArena;
  operand.index = static_cast<int>(arena_.size());
  operand.dtype = dtype;
  operand.shape = shape;
  operand.strides = strides;
  arena_.push_back({dtype, shape, strides});
  return operand;
}

Operand Lowering::weight(const Tensor& tensor) {
  Operand operand;
  operand.region = Region::kWeights;
  operand.offset = weights_.add({static_cast<const std::byte*>(tensor.data()), tensor.bytes()});
  operand.dtype = tensor.dtype();
  operand.shape = tensor.shape();
  operand.strides = packed_strides(tensor.shape());
  return operand;
}

void Lowering::emit(Step step) {
  program_.steps.push_back(std::move(step));
  const auto pending = std::move(pending_);
  pending_.clear();
  for (const auto& [from, to] : pending) {
    Step copy = this->step("copy", *current_);
    copy.epilogue = {};
    copy.flops = 0;
    copy.inputs = {from};
    copy.outputs = {to};
    program_.steps.push_back(std::move(copy));
  }
}

model::Ints Lowering::ints(const Node& node, int input) const {
  const Value* value = node.input(input);
  if (!value || !value->is_constant()) {
    refuse(node, fmt::format("its input {} ({}) must be known when the plan is built", input,
                             value ? value->name : "absent"));
  }
  return compiler::ints_of(value);
}

std::vector<float> Lowering::floats(const Node& node, int input) const {
  const Value* value = node.input(input);
  if (!value || !value->is_constant()) {
    refuse(node, fmt::format("its input {} ({}) must be known when the plan is built", input,
                             value ? value->name : "absent"));
  }
  return compiler::floats_of(value);
}

void Lowering::refuse(const Node& node, const std::string& reason) {
  throw Error(ErrorCode::kModelUnsupported,
              fmt::format("the CUDA engine cannot run {}: {}. Nothing runs elsewhere in its place; "
                          "use --device cpu for this model",
                          model::describe(node), reason));
}

}  // namespace peregrine::cuda
