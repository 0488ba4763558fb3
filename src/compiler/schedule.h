// SPDX-License-Identifier: Apache-2.0
// Which steps may run side by side: branches of a graph (a detector's heads) on streams of their
// own.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compiler/program.h"

namespace peregrine::compiler {

/// The part of a buffer that an operand touches, as a box in the coordinates of the buffer's own
/// axes: channel slices of one picture, or rows of one table, are then seen not to meet.
struct Box {
  std::vector<std::int64_t> first, last;  ///< both included, one entry an axis
  bool meets(const Box& other) const;
};
/// `shape` and `strides` (dense, in elements) are the buffer's; `offset` counts elements. The whole
/// buffer where the operand's axes do not follow the buffer's.
Box touched_box(const Shape& shape, const Shape& strides, const Operand& operand,
                std::int64_t offset);

/// Entry i lists steps before i that must be done when step i starts; what those imply is left out.
using Dependencies = std::vector<std::vector<int>>;

/// When each step runs: in order on its stream, and after `waits`.
struct StepOrder {
  int stream = 0;
  std::vector<int> waits;  ///< steps of other streams
};

/// Gives each step a stream, at most `streams` of them, so that chains stay together and branches
/// part. All dependencies hold by stream order and waits.
std::vector<StepOrder> assign_streams(const Dependencies& dependencies, int streams);

/// Whether one step is always done before another starts, under an order.
class Precedence {
 public:
  explicit Precedence(const std::vector<StepOrder>& order);
  /// True also for a == b.
  bool before(int a, int b) const {
    return reach_[static_cast<std::size_t>(b)][static_cast<std::size_t>(a)];
  }

 private:
  std::vector<std::vector<bool>> reach_;  // [step][ancestors]
};

}  // namespace peregrine::compiler
