// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>

namespace peregrine::cuda {

/// One implementation choice for one operation of given shapes. `Params` is what its kernels take;
/// pointers in it may differ from call to call, shapes and strides may not.
template <typename Params>
struct Tactic {
  std::string name;         ///< stable: it stands in plans and in the tactic cache
  double predicted_us = 0;  ///< by the cost model, to choose what is worth timing
  /// `overlapped`: programmatic dependent launch on the kernel before it in the stream.
  std::function<void(const Params&, bool overlapped, cudaStream_t)> launch;
};

/// Those of `tactics` that are predicted quickest, in that order, at most `limit`.
template <typename Params>
std::vector<Tactic<Params>> most_promising(std::vector<Tactic<Params>> tactics, std::size_t limit) {
  std::stable_sort(tactics.begin(), tactics.end(),
                   [](const auto& a, const auto& b) { return a.predicted_us < b.predicted_us; });
  if (tactics.size() > limit) tactics.resize(limit);
  return tactics;
}

/// Median microseconds of one launch inside a captured chain of `length` dependent ones: what a
/// node costs in a network. A kernel alone would hide its launch behind the host's. Throws
/// `Error(kGpu)`.
double microseconds_in_chain(cudaStream_t stream, int length, const std::function<void()>& launch);

}  // namespace peregrine::cuda
