// SPDX-License-Identifier: Apache-2.0
#include "compiler/memory_planner.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

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

ArenaPlan place(std::span<const Buffer> buffers, const std::vector<std::size_t>& order,
                const Together& together) {
  ArenaPlan plan;
  plan.offsets.assign(buffers.size(), 0);
  std::vector<std::size_t> done;
  std::vector<Placed> neighbours;
  for (const std::size_t index : order) {
    const std::size_t bytes = aligned(buffers[index].bytes);
    neighbours.clear();
    for (const std::size_t other : done) {
      if (together ? !together(index, other) : !meet(buffers[index], buffers[other])) continue;
      neighbours.push_back(
          {plan.offsets[other], plan.offsets[other] + aligned(buffers[other].bytes)});
    }
    plan.offsets[index] = best_fit(neighbours, bytes);
    plan.bytes = std::max(plan.bytes, plan.offsets[index] + bytes);
    done.push_back(index);
  }
  return plan;
}

}  // namespace

ArenaPlan plan_arena(std::span<const Buffer> buffers, const Together& together) {
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
  ArenaPlan best;
  best.bytes = std::numeric_limits<std::size_t>::max();
  for (const Before before : kOrders) {
    std::vector<std::size_t> order(buffers.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return before(buffers[a], buffers[b]); });
    ArenaPlan plan = place(buffers, order, together);
    if (plan.bytes < best.bytes) best = std::move(plan);
  }
  best.peak = peak_of(buffers);
  return best;
}

}  // namespace peregrine::compiler
