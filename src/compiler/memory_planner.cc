// SPDX-License-Identifier: Apache-2.0
#include "compiler/memory_planner.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <random>

namespace peregrine::compiler {
namespace {

std::size_t aligned(std::size_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

bool meet(const Buffer& a, const Buffer& b) { return a.first <= b.last && b.first <= a.last; }

struct Placed {
  std::size_t offset, end;
};

// The tightest gap between the neighbours in time that holds `bytes`; past the last one if none
// does.
std::size_t best_fit(std::vector<Placed>& neighbours, std::size_t bytes) {
  std::sort(neighbours.begin(), neighbours.end(),
            [](const Placed& a, const Placed& b) { return a.offset < b.offset; });
  std::size_t best = 0;
  std::size_t best_gap = std::numeric_limits<std::size_t>::max();
  std::size_t reached = 0;
  for (const Placed& each : neighbours) {
    if (each.offset > reached && each.offset - reached >= bytes &&
        each.offset - reached < best_gap) {
      best_gap = each.offset - reached;
      best = reached;
    }
    reached = std::max(reached, each.end);
  }
  return best_gap == std::numeric_limits<std::size_t>::max() ? reached : best;
}

std::size_t peak_of(std::span<const Buffer> buffers) {
  std::map<int, std::ptrdiff_t> change;
  for (const Buffer& buffer : buffers) {
    change[buffer.first] += static_cast<std::ptrdiff_t>(aligned(buffer.bytes));
    change[buffer.last + 1] -= static_cast<std::ptrdiff_t>(aligned(buffer.bytes));
  }
  std::ptrdiff_t alive = 0;
  std::ptrdiff_t peak = 0;
  for (const auto& [step, bytes] : change) peak = std::max(peak, alive += bytes);
  return static_cast<std::size_t>(peak);
}

using Together = std::function<bool(std::size_t, std::size_t)>;
using Indices = std::vector<std::size_t>;

// For each buffer those that it may not overlap.
std::vector<Indices> conflicts_of(std::span<const Buffer> buffers, const Together& together) {
  std::vector<Indices> conflicts(buffers.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (together ? !together(i, j) : !meet(buffers[i], buffers[j])) continue;
      conflicts[i].push_back(j);
      conflicts[j].push_back(i);
    }
  }
  return conflicts;
}

ArenaPlan place(std::span<const Buffer> buffers, const Indices& order,
                const std::vector<Indices>& conflicts) {
  ArenaPlan plan;
  plan.offsets.assign(buffers.size(), 0);
  std::vector<bool> done(buffers.size(), false);
  std::vector<Placed> neighbours;
  for (const std::size_t index : order) {
    const std::size_t bytes = aligned(buffers[index].bytes);
    neighbours.clear();
    for (const std::size_t other : conflicts[index]) {
      if (!done[other]) continue;
      neighbours.push_back(
          {plan.offsets[other], plan.offsets[other] + aligned(buffers[other].bytes)});
    }
    plan.offsets[index] = best_fit(neighbours, bytes);
    plan.bytes = std::max(plan.bytes, plan.offsets[index] + bytes);
    done[index] = true;
  }
  return plan;
}

// What lies on top goes somewhere earlier in the order, as long as that loses nothing.
void improve(std::span<const Buffer> buffers, const std::vector<Indices>& conflicts, Indices order,
             std::size_t enough, ArenaPlan& best) {
  constexpr int kRounds = 100;
  if (best.bytes - best.bytes / 5 > enough && enough > best.peak) return;  // out of reach
  std::minstd_rand random(1);  // the same plan every time
  for (int round = 0; round < kRounds && best.bytes > enough; ++round) {
    const auto top = std::find_if(order.begin(), order.end(), [&](std::size_t i) {
      return best.offsets[i] + aligned(buffers[i].bytes) == best.bytes;
    });
    const auto at = top - order.begin();
    if (at == 0) return;
    Indices changed = order;
    std::rotate(changed.begin() + static_cast<std::ptrdiff_t>(random()) % at, changed.begin() + at,
                changed.begin() + at + 1);
    ArenaPlan plan = place(buffers, changed, conflicts);
    if (plan.bytes > best.bytes) continue;
    plan.peak = best.peak;
    best = std::move(plan);
    order = std::move(changed);
  }
}

}  // namespace

ArenaPlan plan_arena(std::span<const Buffer> buffers, const Together& together,
                     std::size_t enough) {
  // No one order is best for every model, and placing is cheap: the smallest of a few wins.
  using Before = bool (*)(const Buffer&, const Buffer&);
  constexpr Before kOrders[] = {
      +[](const Buffer& a, const Buffer& b) { return a.bytes > b.bytes; },
      +[](const Buffer& a, const Buffer& b) { return a.first < b.first; },
      +[](const Buffer& a, const Buffer& b) { return a.last - a.first > b.last - b.first; },
      +[](const Buffer& a, const Buffer& b) {
        return a.bytes * static_cast<std::size_t>(a.last - a.first + 1) >
               b.bytes * static_cast<std::size_t>(b.last - b.first + 1);
      },
  };
  const std::vector<Indices> conflicts = conflicts_of(buffers, together);
  ArenaPlan best;
  Indices best_order;
  best.bytes = std::numeric_limits<std::size_t>::max();
  for (const Before before : kOrders) {
    Indices order(buffers.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return before(buffers[a], buffers[b]); });
    ArenaPlan plan = place(buffers, order, conflicts);
    if (plan.bytes >= best.bytes) continue;
    best = std::move(plan);
    best_order = std::move(order);
  }
  best.peak = peak_of(buffers);
  improve(buffers, conflicts, std::move(best_order), std::max(enough, best.peak), best);
  return best;
}

}  // namespace peregrine::compiler
