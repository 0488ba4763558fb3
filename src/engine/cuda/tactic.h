// SPDX-License-Identifier: Apache-2.0
#pragma once

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
  std::size_t workspace_bytes = 0;
  /// `overlapped`: programmatic dependent launch on the kernel before it in the stream.
  std::function<void(const Params&, bool overlapped, cudaStream_t)> launch;
};

/// Median microseconds of one launch inside a captured chain of `length` dependent ones: what a
/// node costs in a network. A kernel alone would hide its launch behind the host's. Throws
/// `Error(kGpu)`.
double microseconds_in_chain(cudaStream_t stream, int length, const std::function<void()>& launch);

/// The fastest of `tactics` on this device; must not be empty. `times`, where given, receives the
/// microseconds of each. `params` must point to memory of the right sizes.
template <typename Params>
const Tactic<Params>& fastest(const std::vector<Tactic<Params>>& tactics, const Params& params,
                              int chain_length, cudaStream_t stream,
                              std::vector<double>* times = nullptr) {
  const Tactic<Params>* best = &tactics.front();
  double best_us = 0;
  for (const Tactic<Params>& tactic : tactics) {
    const double us =
        microseconds_in_chain(stream, chain_length, [&] { tactic.launch(params, true, stream); });
    if (times) times->push_back(us);
    if (&tactic == &tactics.front() || us < best_us) {
      best_us = us;
      best = &tactic;
    }
  }
  return *best;
}

}  // namespace peregrine::cuda
