// SPDX-License-Identifier: Apache-2.0
// Steps to streams, and buffers to offsets in one arena: the second half of a lowering.
#include <algorithm>
#include <utility>

#include "compiler/memory_planner.h"
#include "compiler/schedule.h"
#include "engine/cuda/lowering.h"

namespace peregrine::cuda {
namespace {

using compiler::Operand;
using compiler::Region;
using compiler::Step;

// A detector has three scales with two or three branches each.
constexpr int kMostStreams = 6;
// What parallel branches may cost: weights and arena over weights and the least an arena can be; or
// a few MiB, which no GPU misses.
constexpr double kMostMemory = 1.15;
constexpr double kSpareBytes = 8 << 20;

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
