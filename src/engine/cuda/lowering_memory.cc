// SPDX-License-Identifier: Apache-2.0
// Steps to streams, and buffers to offsets in one arena: the second half of a lowering.
#include <algorithm>
#include <utility>

#include "compiler/arena_schedule.h"
#include "engine/cuda/lowering.h"

namespace peregrine::cuda {
namespace {

using compiler::Operand;
using compiler::Region;
using compiler::Step;

// A detector has three scales with two or three branches each.
constexpr int kMostStreams = 6;

}  // namespace

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
      const Use use{i, writes,
                    compiler::touched_box(
                        shape, in_arena ? arena_[index].strides : packed_strides(shape), operand,
                        operand.offset / static_cast<std::int64_t>(size_of(operand.dtype)))};
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

void Lowering::assign_streams() {
  std::vector<compiler::BufferUse> uses(arena_.size());
  const auto touch = [&](const Operand& operand, int step) {
    if (operand.region != Region::kArena) return;
    const auto i = static_cast<std::size_t>(operand.index);
    uses[i].bytes = byte_size(arena_[i].dtype, arena_[i].shape);
    uses[i].steps.push_back(step);
  };
  for (std::size_t at = 0; at < program_.steps.size(); ++at) {
    for (const Operand& each : program_.steps[at].inputs) touch(each, static_cast<int>(at));
    for (const Operand& each : program_.steps[at].outputs) touch(each, static_cast<int>(at));
  }
  const compiler::ArenaSchedule schedule =
      compiler::schedule_in_arena(dependencies(), uses, kMostStreams, weights_.bytes().size());
  for (std::size_t i = 0; i < schedule.order.size(); ++i) {
    program_.steps[i].stream = schedule.order[i].stream;
    program_.steps[i].waits = schedule.order[i].waits;
    program_.streams = std::max(program_.streams, schedule.order[i].stream + 1);
  }
  settle(schedule.plan);
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
