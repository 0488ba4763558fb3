// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/lowering.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "compiler/memory_planner.h"
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

// A detector has three scales with two or three branches each.
constexpr int kMostStreams = 6;
// What parallel branches may cost: weights and arena over weights and the least an arena can be; or
// a few MiB, which no GPU misses.
constexpr double kMostMemory = 1.15;
constexpr double kSpareBytes = 8 << 20;

std::int64_t bytes_of(DType dtype) { return static_cast<std::int64_t>(size_of(dtype)); }

}  // namespace

Lowering::Lowering(const model::Graph& graph, Precision precision, WeightStore& weights)
    : graph_(graph), precision_(precision), weights_(weights), layout_(graph, precision) {
  program_.batch = std::max<std::int64_t>(graph.batch, 1);
}

compiler::Program Lowering::run() {
  std::int64_t unplaced_flops = 0;
  for (const Node* node : graph_.nodes()) {
    if (layout_.is_view(node)) continue;
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

Operand Lowering::write_picture(const Value* value, DType wanted) {
  return fitted(value, wanted,
                compiler::pixel_stride(value->shape, layout_.storage(value).strides).has_value(),
                compiler::channels_last(value->shape));
}

Operand Lowering::write_images(const Value* value, DType wanted) {
  return fitted(
      value, wanted,
      compiler::image_pixel_stride(value->shape, layout_.storage(value).strides).has_value(),
      compiler::channels_last(value->shape));
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

// Two steps depend on each other where one writes what the other reads or writes.
compiler::Dependencies Lowering::dependencies() const {
  struct Use {
    int step;
    bool writes;
    compiler::Box box;
  };
  std::vector<std::vector<Use>> uses(arena_.size() + graph_.outputs().size());
  compiler::Dependencies result;
  std::vector<std::vector<bool>> implied;  // [step][steps known to be done before it]
  const int count = static_cast<int>(program_.steps.size());
  for (int i = 0; i < count; ++i) {
    std::vector<bool> needed(program_.steps.size(), false);
    std::vector<std::pair<std::size_t, Use>> own;
    const auto add = [&](const Operand& operand, bool writes) {
      const bool in_arena = operand.region == Region::kArena;
      if (!in_arena && operand.region != Region::kOutput) return;
      const auto index = static_cast<std::size_t>(operand.index);
      const std::size_t buffer = in_arena ? index : arena_.size() + index;
      const Shape& shape = in_arena ? arena_[index].shape : graph_.outputs()[index]->shape;
      const Use use{
          i, writes,
          compiler::touched_box(shape, in_arena ? arena_[index].strides : packed_strides(shape),
                                operand, operand.offset / bytes_of(operand.dtype))};
      for (const Use& other : uses[buffer]) {
        if ((use.writes || other.writes) && use.box.meets(other.box)) {
          needed[static_cast<std::size_t>(other.step)] = true;
        }
      }
      own.emplace_back(buffer, use);
    };
    const Step& step = program_.steps[static_cast<std::size_t>(i)];
    for (const Operand& each : step.inputs) add(each, false);
    for (const Operand& each : step.outputs) add(each, true);
    for (auto& [buffer, use] : own) uses[buffer].push_back(std::move(use));
    std::vector<int> direct;
    std::vector<bool> known(program_.steps.size(), false);
    for (int j = i - 1; j >= 0; --j) {
      const auto at = static_cast<std::size_t>(j);
      if (!needed[at] || known[at]) continue;
      direct.push_back(j);
      known[at] = true;
      for (std::size_t k = 0; k < at; ++k) known[k] = known[k] || implied[at][k];
    }
    result.push_back(std::move(direct));
    implied.push_back(std::move(known));
  }
  return result;
}

// Branches side by side need memory side by side: the most streams that the memory is worth.
void Lowering::assign_streams() {
  const compiler::Dependencies needs = dependencies();
  for (int streams = kMostStreams; streams > 0; --streams) {
    const auto order = compiler::assign_streams(needs, streams);
    const compiler::ArenaPlan plan = plan_arena(order);
    const double least = static_cast<double>(plan.peak + weights_.bytes().size());
    const double most = std::max(kMostMemory * least, least + kSpareBytes) -
                        static_cast<double>(weights_.bytes().size());
    if (streams > 1 && static_cast<double>(plan.bytes) > most) continue;
    for (std::size_t i = 0; i < order.size(); ++i) {
      program_.steps[i].stream = order[i].stream;
      program_.steps[i].waits = order[i].waits;
      program_.streams = std::max(program_.streams, order[i].stream + 1);
    }
    return settle(plan);
  }
}

// Two buffers may share memory when whatever touches the one is always done before anything touches
// the other.
compiler::ArenaPlan Lowering::plan_arena(const std::vector<compiler::StepOrder>& order) const {
  const compiler::Precedence precedence(order);
  std::vector<compiler::Buffer> buffers(arena_.size());
  std::vector<std::vector<int>> users(arena_.size());
  const auto touch = [&](const Operand& operand, int at) {
    if (operand.region != Region::kArena) return;
    const auto i = static_cast<std::size_t>(operand.index);
    if (users[i].empty()) buffers[i] = {byte_size(arena_[i].dtype, arena_[i].shape), at, at};
    buffers[i].last = at;
    users[i].push_back(at);
  };
  for (std::size_t at = 0; at < program_.steps.size(); ++at) {
    for (const Operand& each : program_.steps[at].inputs) touch(each, static_cast<int>(at));
    for (const Operand& each : program_.steps[at].outputs) touch(each, static_cast<int>(at));
  }
  const auto all_before = [&](std::size_t a, std::size_t b) {
    for (const int first : users[a]) {
      for (const int second : users[b]) {
        if (first == second || !precedence.before(first, second)) return false;
      }
    }
    return true;
  };
  return compiler::plan_arena(buffers, [&](std::size_t a, std::size_t b) {
    return !all_before(a, b) && !all_before(b, a);
  });
}

// Buffer numbers become offsets in one arena.
void Lowering::settle(const compiler::ArenaPlan& plan) {
  const auto settle_operand = [&](Operand& operand) {
    if (operand.region != Region::kArena) return;
    operand.offset +=
        static_cast<std::int64_t>(plan.offsets[static_cast<std::size_t>(operand.index)]);
    operand.index = 0;
  };
  for (Step& step : program_.steps) {
    std::for_each(step.inputs.begin(), step.inputs.end(), settle_operand);
    std::for_each(step.outputs.begin(), step.outputs.end(), settle_operand);
  }
  program_.arena_bytes = plan.bytes;
  program_.peak_bytes = plan.peak;
}

}  // namespace peregrine::cuda
