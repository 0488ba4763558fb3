// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/attention_tactics.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/cuda/kernels/attention_kernels.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

int ceil_div(int a, int b) { return (a + b - 1) / b; }

// A ranking, not a promise: which kernels deserve to be timed.
double predict(const AttentionKernel& kernel, const AttentionParams& p, const DeviceInfo& device) {
  constexpr double kNode = 1.5;  // launch, first loads, last stores
  // A block's step while it is alone on its multiprocessor, and how many steps of 64 x 64 a
  // microsecond a full one does.
  const double step = kernel.needs_sm90a ? 0.45 : 0.75;
  const double rate = kernel.needs_sm90a ? 4.0 : 1.8;
  const double steps = ceil_div(p.keys, kernel.keys);
  const double blocks = double(ceil_div(p.queries, kernel.queries)) * p.heads * p.batch;
  const double turns = std::ceil(blocks / device.multiprocessors);
  const double tiles = steps * kernel.queries * kernel.keys / 4096.0;
  return kNode + std::max(steps * step, tiles * turns / rate);
}

AttentionTactic tactic_of(const AttentionKernel& kernel, double predicted_us) {
  AttentionTactic tactic;
  tactic.name = kernel.name;
  tactic.predicted_us = predicted_us;
  tactic.launch = [&kernel](const AttentionParams& p, bool overlapped, cudaStream_t stream) {
    launch_attention(kernel, p, overlapped, stream);
  };
  return tactic;
}

}  // namespace

std::vector<AttentionTactic> attention_tactics(const AttentionParams& p, const DeviceInfo& device,
                                               std::size_t limit) {
  std::vector<AttentionTactic> tactics;
  for (const AttentionKernel& kernel : attention_kernels()) {
    // Each name once: the narrowest kernel that holds the heads.
    if (find_attention_kernel(kernel.name, p) != &kernel) continue;
    if (kernel.shared_bytes > device.shared_bytes_per_block) continue;
    if (kernel.needs_sm90a && device.sm() != 90) continue;
    tactics.push_back(tactic_of(kernel, predict(kernel, p, device)));
  }
  std::stable_sort(tactics.begin(), tactics.end(),
                   [](const auto& a, const auto& b) { return a.predicted_us < b.predicted_us; });
  if (tactics.size() > limit) tactics.resize(limit);
  return tactics;
}

AttentionTactic named_attention_tactic(std::string_view name, const AttentionParams& p) {
  if (const AttentionKernel* kernel = find_attention_kernel(name, p)) return tactic_of(*kernel, 0);
  throw Error(ErrorCode::kPlanMismatch, "the plan names the attention kernel '" +
                                            std::string(name) +
                                            "', which this version does not have; build it again");
}

}  // namespace peregrine::cuda
