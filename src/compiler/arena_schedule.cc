// SPDX-License-Identifier: Apache-2.0
#include "compiler/arena_schedule.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>

namespace peregrine::compiler {
namespace {

constexpr int kMostWaits = 100;  // added for memory before so many streams are given up

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

  ArenaPlan plan(const std::vector<StepOrder>& order, std::size_t budget) const {
    const Precedence precedence(order);
    const auto together = [&](std::size_t a, std::size_t b) {
      return !all_before(uses_[a], uses_[b], precedence) &&
             !all_before(uses_[b], uses_[a], precedence);
    };
    return plan_arena(buffers_, together, budget);
  }

  std::size_t peak() const { return plan_arena(buffers_, nullptr, SIZE_MAX).peak; }

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
    // Each part of a concatenation has a producer of its own.
    for (const int step : uses_[best->later].steps) {
      std::vector<int>& waits = order[static_cast<std::size_t>(step)].waits;
      for (const int user : uses_[best->earlier].steps) {
        if (!precedence.before(user, step)) waits.push_back(user);
      }
    }
    return true;
  }

 private:
  std::span<const BufferUse> uses_;
  std::vector<Buffer> buffers_;
};

// Waits that others imply cost an edge each and order nothing.
void drop_implied_waits(std::vector<StepOrder>& order) {
  const Precedence precedence(order);
  std::vector<int> tail;  // last step of each stream
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto stream = static_cast<std::size_t>(order[i].stream);
    if (stream >= tail.size()) tail.resize(stream + 1, -1);
    std::vector<int>& waits = order[i].waits;
    std::sort(waits.begin(), waits.end(), std::greater<>());
    std::vector<int> kept;
    for (const int wait : waits) {
      const auto implies = [&](int other) { return other >= 0 && precedence.before(wait, other); };
      if (!implies(tail[stream]) && std::none_of(kept.begin(), kept.end(), implies)) {
        kept.push_back(wait);
      }
    }
    waits = std::move(kept);
    tail[stream] = static_cast<int>(i);
  }
}

// Steps one after the other on the longest way through the program.
int longest_way(const std::vector<StepOrder>& order) {
  std::vector<int> length(order.size(), 1), tail;
  int longest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto stream = static_cast<std::size_t>(order[i].stream);
    if (stream >= tail.size()) tail.resize(stream + 1, -1);
    const auto follow = [&](int before) {
      length[i] = std::max(length[i], 1 + length[static_cast<std::size_t>(before)]);
    };
    if (tail[stream] >= 0) follow(tail[stream]);
    for (const int wait : order[i].waits) follow(wait);
    tail[stream] = static_cast<int>(i);
    longest = std::max(longest, length[i]);
  }
  return longest;
}

}  // namespace

ArenaSchedule schedule_in_arena(const Dependencies& dependencies, std::span<const BufferUse> uses,
                                int streams, std::size_t fixed_bytes) {
  const Scheduler scheduler(uses);
  const auto fixed = static_cast<double>(fixed_bytes);
  const double most = kMostMemory * (static_cast<double>(scheduler.peak()) + fixed) - fixed;
  const auto budget = static_cast<std::size_t>(most);
  ArenaSchedule best;
  int shortest = 0;
  for (int count = 1; count <= streams; ++count) {
    ArenaSchedule schedule;
    schedule.order = assign_streams(dependencies, count);
    schedule.plan = scheduler.plan(schedule.order, budget);
    for (int added = 0; schedule.plan.bytes > budget && added < kMostWaits; ++added) {
      if (!scheduler.wait_for_memory(schedule.order, schedule.plan, budget)) break;
      schedule.plan = scheduler.plan(schedule.order, budget);
    }
    const int way = longest_way(schedule.order);
    if (count > 1 && (schedule.plan.bytes > budget || way >= shortest)) continue;
    drop_implied_waits(schedule.order);
    best = std::move(schedule);
    shortest = way;
  }
  return best;
}

}  // namespace peregrine::compiler
