// SPDX-License-Identifier: Apache-2.0
#include "compiler/arena_schedule.h"

#include <algorithm>
#include <optional>

namespace peregrine::compiler {
namespace {

constexpr int kMostWaits = 200;  // added for memory, before fewer streams are tried

// Two buffers may share memory when whatever touches the one is always done before anything touches
// the other.
bool all_before(const BufferUse& a, const BufferUse& b, const Precedence& precedence) {
  for (const int first : a.steps) {
    for (const int second : b.steps) {
      if (first == second || !precedence.before(first, second)) return false;
    }
  }
  return true;
}

class Scheduler {
 public:
  explicit Scheduler(std::span<const BufferUse> uses) : uses_(uses) {
    for (const BufferUse& use : uses) {
      const bool used = !use.steps.empty();
      buffers_.push_back({use.bytes, used ? use.steps.front() : 0, used ? use.steps.back() : 0});
    }
  }

  ArenaPlan plan(const std::vector<StepOrder>& order) const {
    const Precedence precedence(order);
    return plan_arena(buffers_, [&](std::size_t a, std::size_t b) {
      return !all_before(uses_[a], uses_[b], precedence) &&
             !all_before(uses_[b], uses_[a], precedence);
    });
  }

  // Adds a wait for memory that reaches past `budget`; false when there is none to add.
  bool wait_for_memory(std::vector<StepOrder>& order, const ArenaPlan& plan,
                       std::size_t budget) const {
    const Precedence precedence(order);
    struct Wait {
      std::size_t earlier, later;
      double worth;
    };
    std::optional<Wait> best;
    const auto consider = [&](std::size_t earlier, std::size_t later) {
      const int gap = buffers_[later].first - buffers_[earlier].last;
      if (gap <= 0 || all_before(uses_[earlier], uses_[later], precedence)) return;
      const double worth =
          double(gap) * double(std::min(buffers_[earlier].bytes, buffers_[later].bytes));
      if (!best || worth > best->worth) best = Wait{earlier, later, worth};
    };
    for (std::size_t i = 0; i < uses_.size(); ++i) {
      if (uses_[i].steps.empty() || plan.offsets[i] + buffers_[i].bytes <= budget) continue;
      for (std::size_t j = 0; j < uses_.size(); ++j) {
        if (i == j || uses_[j].steps.empty()) continue;
        consider(i, j);
        consider(j, i);
      }
    }
    if (!best) return false;
    const int step = buffers_[best->later].first;
    std::vector<int>& waits = order[static_cast<std::size_t>(step)].waits;
    for (const int user : uses_[best->earlier].steps) {
      if (!precedence.before(user, step)) waits.push_back(user);
    }
    return true;
  }

 private:
  std::span<const BufferUse> uses_;
  std::vector<Buffer> buffers_;
};

}  // namespace

ArenaSchedule schedule_in_arena(const Dependencies& dependencies, std::span<const BufferUse> uses,
                                int streams, std::size_t fixed_bytes) {
  const Scheduler scheduler(uses);
  for (;; --streams) {
    ArenaSchedule schedule;
    schedule.order = assign_streams(dependencies, streams);
    schedule.plan = scheduler.plan(schedule.order);
    if (streams <= 1) return schedule;
    const auto fixed = static_cast<double>(fixed_bytes);
    const double most = kMostMemory * (static_cast<double>(schedule.plan.peak) + fixed) - fixed;
    const auto budget = static_cast<std::size_t>(most);
    for (int added = 0; schedule.plan.bytes > budget && added < kMostWaits; ++added) {
      if (!scheduler.wait_for_memory(schedule.order, schedule.plan, budget)) break;
      schedule.plan = scheduler.plan(schedule.order);
    }
    if (schedule.plan.bytes <= budget) return schedule;
  }
}

}  // namespace peregrine::compiler
