// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/attention_tactics.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/cuda/kernels/attention_kernels.h"
#include "engine/cuda/kernels/launch.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

// Fitted to 105 timings on an H200 (bench_engine_attention), within 12% in the root mean square:
// the first choice loses 3% against the best on the average of those shapes, the first three
// nothing. Microseconds.
struct Cost {
  double node;        // launch, first loads, last stores
  double step;        // a block's step while it is alone on its multiprocessor
  double tile;        // 64 queries by 64 keys on a full multiprocessor...
  double tile_width;  // ...and for each element of a head's query and value
};
// What each block of a multiprocessor adds: one that is alone there hides its ends behind nothing.
constexpr double kLoneBlock = 1.39, kBlock = 0.73;

Cost cost_of(AttentionKind kind) {
  switch (kind) {
    case AttentionKind::kRows: return {2.22, 0.840, 0.077, 0.0035};
    case AttentionKind::kKeys: return {0.79, 1.665, 0.607, 0};
    case AttentionKind::kWarpgroups: break;
  }
  return {1.72, 0.893, 0.255, 0.0008};
}

// Blocks that fit a multiprocessor at once; the kernels keep to about 128 registers.
int resident_blocks(const AttentionKernel& kernel) {
  return std::max(
      1, std::min(227 * 1024 / (kernel.shared_bytes + 1024), 65536 / (kernel.threads * 128)));
}

// A ranking, not a promise: which kernels deserve to be timed.
double predict(const AttentionKernel& kernel, const AttentionParams& p, const DeviceInfo& device) {
  const Cost cost = cost_of(kernel.kind);
  const double steps = ceil_div(p.keys, kernel.keys);
  const double blocks = double(ceil_div(p.queries, kernel.queries)) * p.heads * p.batch;
  const double per_processor = blocks / device.multiprocessors;
  const int resident = resident_blocks(kernel);
  const double alone = steps * cost.step * std::ceil(per_processor / resident);
  const double tile = cost.tile + cost.tile_width * (p.query_width + p.value_width);
  const double tiles = steps * kernel.queries * kernel.keys / (64.0 * 64.0);
  // Unevenness shows in the first turns only.
  const double turns = per_processor < 4 ? std::ceil(per_processor) : per_processor;
  return cost.node + std::max(alone, tile * tiles * turns +
                                         (resident == 1 ? kLoneBlock : kBlock) * per_processor);
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
    if (kernel.kind == AttentionKind::kWarpgroups && device.sm() != 90) continue;
    tactics.push_back(tactic_of(kernel, predict(kernel, p, device)));
  }
  return most_promising(std::move(tactics), limit);
}

AttentionTactic named_attention_tactic(std::string_view name, const AttentionParams& p) {
  if (const AttentionKernel* kernel = find_attention_kernel(name, p)) return tactic_of(*kernel, 0);
  throw Error(ErrorCode::kPlanMismatch, "the plan names the attention kernel '" +
                                            std::string(name) +
                                            "', which this version does not have; build it again");
}

}  // namespace peregrine::cuda
