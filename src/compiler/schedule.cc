// SPDX-License-Identifier: Apache-2.0
#include "compiler/schedule.h"

#include <algorithm>
#include <numeric>

namespace peregrine::compiler {
namespace {

Box whole(const Shape& shape) {
  Box box;
  for (const std::int64_t extent : shape) {
    box.first.push_back(0);
    box.last.push_back(extent - 1);
  }
  return box;
}

// Axes of length above 1, largest stride first.
std::vector<std::size_t> axes_by_stride(const Shape& shape, const Shape& strides) {
  std::vector<std::size_t> axes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] > 1) axes.push_back(i);
  }
  std::sort(axes.begin(), axes.end(),
            [&](std::size_t a, std::size_t b) { return strides[a] > strides[b]; });
  return axes;
}

}  // namespace

bool Box::meets(const Box& other) const {
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (last[i] < other.first[i] || other.last[i] < first[i]) return false;
  }
  return true;
}

Box touched_box(const Shape& shape, const Shape& strides, const Operand& operand,
                std::int64_t offset) {
  const std::vector<std::size_t> axes = axes_by_stride(shape, strides);
  Box box = whole(shape);
  std::vector<std::int64_t> start(shape.size(), 0), reach(shape.size(), 0);
  for (const std::size_t axis : axes) {
    start[axis] = offset / strides[axis];
    offset %= strides[axis];
  }
  for (std::size_t i = 0; i < operand.shape.size(); ++i) {
    const std::int64_t stride = operand.strides[i];
    if (operand.shape[i] == 1 || stride == 0) continue;
    const auto axis = std::find_if(axes.begin(), axes.end(),
                                   [&](std::size_t each) { return stride >= strides[each]; });
    if (stride < 0 || axis == axes.end() || stride % strides[*axis] != 0) return whole(shape);
    reach[*axis] += (operand.shape[i] - 1) * (stride / strides[*axis]);
  }
  // Innermost first: what runs over an axis takes all of it and goes on in the one outside.
  std::int64_t carry = 0;
  for (std::size_t i = axes.size(); i-- > 0;) {
    const std::size_t axis = axes[i];
    const std::int64_t last = start[axis] + reach[axis] + carry;
    carry = last / shape[axis];
    box.first[axis] = carry > 0 ? 0 : start[axis];
    box.last[axis] = carry > 0 ? shape[axis] - 1 : last;
  }
  return box;
}

std::vector<StepOrder> assign_streams(const Dependencies& dependencies, int streams) {
  std::vector<StepOrder> order(dependencies.size());
  std::vector<int> tail(static_cast<std::size_t>(streams), -1);  // last step of each stream
  std::vector<std::vector<bool>> done;  // [step][what is done when it starts, and itself]
  for (std::size_t i = 0; i < dependencies.size(); ++i) {
    const std::vector<int>& needs = dependencies[i];
    std::vector<bool> before(dependencies.size(), false);
    const auto add = [&](int step) {
      const auto& more = done[static_cast<std::size_t>(step)];
      for (std::size_t k = 0; k < more.size(); ++k) before[k] = before[k] || more[k];
    };
    for (const int need : needs) add(need);
    // Behind the latest step it needs, if nobody else is there; else on a stream that has ended for
    // its purposes; else on one not used yet; else behind whoever ended first.
    int stream = -1;
    for (int s = 0; s < streams; ++s) {
      const int last = tail[static_cast<std::size_t>(s)];
      if (std::find(needs.begin(), needs.end(), last) == needs.end()) continue;
      if (stream < 0 || last > tail[static_cast<std::size_t>(stream)]) stream = s;
    }
    for (int s = 0; s < streams && stream < 0; ++s) {
      const int last = tail[static_cast<std::size_t>(s)];
      if (last >= 0 && before[static_cast<std::size_t>(last)]) stream = s;
    }
    if (stream < 0) {
      stream = static_cast<int>(std::min_element(tail.begin(), tail.end()) - tail.begin());
    }
    const int last = tail[static_cast<std::size_t>(stream)];
    std::vector<bool> known(dependencies.size(), false);
    if (last >= 0) {
      known = done[static_cast<std::size_t>(last)];
      add(last);
    }
    // Latest first: what an earlier wait implies is not waited for again.
    std::vector<int> sorted = needs;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    for (const int need : sorted) {
      if (known[static_cast<std::size_t>(need)]) continue;
      order[i].waits.push_back(need);
      const auto& more = done[static_cast<std::size_t>(need)];
      for (std::size_t k = 0; k < more.size(); ++k) known[k] = known[k] || more[k];
    }
    order[i].stream = stream;
    before[i] = true;
    done.push_back(std::move(before));
    tail[static_cast<std::size_t>(stream)] = static_cast<int>(i);
  }
  return order;
}

Precedence::Precedence(const std::vector<StepOrder>& order) {
  std::vector<int> tail;
  for (std::size_t i = 0; i < order.size(); ++i) {
    std::vector<bool> before(order.size(), false);
    const auto add = [&](int step) {
      const auto& more = reach_[static_cast<std::size_t>(step)];
      for (std::size_t k = 0; k < more.size(); ++k) before[k] = before[k] || more[k];
    };
    for (const int wait : order[i].waits) add(wait);
    const auto stream = static_cast<std::size_t>(order[i].stream);
    if (stream >= tail.size()) tail.resize(stream + 1, -1);
    if (tail[stream] >= 0) add(tail[stream]);
    tail[stream] = static_cast<int>(i);
    before[i] = true;
    reach_.push_back(std::move(before));
  }
}

}  // namespace peregrine::compiler
