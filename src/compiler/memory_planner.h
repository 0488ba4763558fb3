// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace peregrine::compiler {

/// Bytes that must stay untouched from step `first` to step `last`, both included.
struct Buffer {
  std::size_t bytes = 0;
  int first = 0;
  int last = 0;
};

/// Where each buffer lies in one arena.
struct ArenaPlan {
  std::vector<std::size_t> offsets;  ///< as many as buffers; multiples of `kArenaAlignment`
  std::size_t bytes = 0;             ///< of the arena
  std::size_t peak = 0;              ///< most bytes alive at one step: no plan can be smaller
};
constexpr std::size_t kArenaAlignment = 256;  ///< what cudaMalloc gives, and TMA descriptors want

/// Buffers alive together never overlap; `together`, where given, says so of two of them in place
/// of their steps (which may run side by side). No smaller arena is looked for below `enough`
/// bytes. Cost: O(n^2).
ArenaPlan plan_arena(std::span<const Buffer> buffers,
                     const std::function<bool(std::size_t, std::size_t)>& together = nullptr,
                     std::size_t enough = 0);

}  // namespace peregrine::compiler
