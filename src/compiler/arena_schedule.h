// SPDX-License-Identifier: Apache-2.0
// Streams for steps and memory for buffers, decided together: branches side by side need memory
// side by side.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "compiler/memory_planner.h"
#include "compiler/schedule.h"

namespace peregrine::compiler {

/// A piece of memory and the steps that touch it, ascending.
struct BufferUse {
  std::size_t bytes = 0;
  std::vector<int> steps;
};

struct ArenaSchedule {
  std::vector<StepOrder> order;
  ArenaPlan plan;
};

/// What an arena may take beside `fixed_bytes` of weights, over the least it can be.
inline constexpr double kMostMemory = 1.15;

/// Of all numbers of streams up to `streams`, the one with the fewest steps one after the other
/// whose arena is within `kMostMemory`; the smaller one of equals. Where branches that may run side
/// by side need more memory, steps of one wait for buffers of another: those that are furthest
/// apart in the program, so that the wait costs least. One stream always does.
ArenaSchedule schedule_in_arena(const Dependencies& dependencies, std::span<const BufferUse> uses,
                                int streams, std::size_t fixed_bytes);

}  // namespace peregrine::compiler
