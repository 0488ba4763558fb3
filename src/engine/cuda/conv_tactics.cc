// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/conv_tactics.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/cuda/kernels/conv_halo.h"
#include "engine/cuda/kernels/launch.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

// Fitted to 9317 timings on an H200 (yolo11n and yolo11m, batches 1, 8 and 32;
// tools/fit_conv_cost.py). Microseconds, and per multiprocessor where a rate.
constexpr double kNode = 1.442;                     // launch and hand-over to the next node
constexpr double kBlock = 1.312;                    // first loads, last stores of a block
constexpr double kStep = 0.1566;                    // barrier and addresses of one step of K
constexpr double kStepChunk = 0.009552;             // each 16-byte copy of a thread
constexpr double kStepProduct = 0.01076;            // each matrix instruction of a warp
constexpr double kItem = 0.0435;                    // eight output channels of a thread
constexpr double kCluster = 5.869;                  // two barriers of a cluster and the remote sums
constexpr double kProductsPerUs = 780.8e3;          // multiply-adds by mma.sync
constexpr double kWarpgroupProductsPerUs = 1434e3;  // by wgmma
constexpr double kBytesPerUs = 48.35e3;             // from L2
constexpr double kOutputs = 2.689e-6;               // each output element of a saturated device

/// Blocks that fit a multiprocessor at once. Registers are estimated: 48 and the sums, with a third
/// for the fragments.
int resident_blocks(const ConvTile& tile) {
  const int shared = tile.shared_bytes + 1024;
  const int registers =
      static_cast<int>(tile.threads * (48 + tile.m * tile.n / tile.threads * 1.3));
  return std::max(1, std::min({227 * 1024 / shared, 2048 / tile.threads, 65536 / registers}));
}

/// A node of so many blocks, `resident` of them at once on a multiprocessor. A block alone waits
/// for its own instructions (`alone`), many together for the tensor cores or for L2 (`shared`).
double node_us(double blocks, int resident, double alone, double shared, const DeviceInfo& device) {
  const double rounds = std::ceil(blocks / (device.multiprocessors * resident));
  double turns = blocks / device.multiprocessors;
  if (turns < 8) turns = std::ceil(turns);
  return kNode + std::max(alone * rounds, shared * turns);
}

ConvTactic tile_tactic(const ConvTile& tile, int splits, double predicted_us) {
  ConvTactic tactic;
  tactic.name = tile.name;
  if (splits > 1) tactic.name += " /" + std::to_string(splits);
  tactic.predicted_us = predicted_us;
  tactic.launch = [&tile, splits](const ConvParams& p, bool overlapped, cudaStream_t stream) {
    launch_conv_tile(tile, p, splits, overlapped, stream);
  };
  return tactic;
}

ConvTactic halo_tactic(const ConvHalo& halo, double predicted_us) {
  return {halo.name, predicted_us,
          [&halo](const ConvParams& p, bool overlapped, cudaStream_t stream) {
            launch_conv_halo(halo, p, overlapped, stream);
          }};
}

// Not fitted: the constants of the tiles on the halo kernel's own work.
double predict_conv_halo(const ConvParams& p, const ConvHalo& halo, const DeviceInfo& device) {
  const double pixels = double(halo.tile_height) * halo.tile_width;
  const double rate = halo.needs_sm90a ? kWarpgroupProductsPerUs : kProductsPerUs;
  const double products = pixels * halo.n * p.reduction() / rate;
  const double bytes = pixels * halo.stride * halo.stride * 1.4 * p.in_channels * 2;
  const double shared = std::max(products, bytes / kBytesPerUs) + kOutputs * pixels * halo.n;
  const int resident = std::clamp(227 * 1024 / (halo.shared_bytes + 1024), 1, 2048 / halo.threads);
  const double tiles = double(conv_halo_tiles(halo, p)) * ceil_div(p.out_channels, halo.n);
  return node_us(tiles, resident * halo.tiles_at_once, kBlock + products, shared, device);
}

}  // namespace

double predict_conv_tile(const ConvParams& p, const ConvTile& tile, int splits,
                         const DeviceInfo& device) {
  const double blocks =
      double(ceil_div(p.pixels(), tile.m)) * ceil_div(p.out_channels, tile.n) * p.groups * splits;
  const int steps = ceil_div(ceil_div(p.reduction(), tile.k), splits);
  const double chunks = double(tile.m + tile.n) * tile.k / 8 / tile.threads;
  const double products =
      tile.needs_sm90a ? 0
                       : double(tile.m) * tile.n * tile.k / (16 * 8 * 16) / (tile.threads / 32.0);
  const double rate = tile.needs_sm90a ? kWarpgroupProductsPerUs : kProductsPerUs;
  const double items = double(tile.m) * tile.n / 8 / tile.threads;
  const double alone = kBlock + steps * (kStep + kStepChunk * chunks + kStepProduct * products) +
                       kItem * items * (1 + 0.3 * tile.slices) + (splits > 1 ? kCluster : 0);
  const double work = double(steps) * tile.k;
  const double shared =
      std::max(work * tile.m * tile.n / rate, work * (tile.m + tile.n) * 2 / kBytesPerUs) +
      kOutputs * tile.m * tile.n;
  return node_us(blocks, resident_blocks(tile), alone, shared, device);
}

std::vector<ConvTactic> conv_tactics(const ConvParams& p, bool planar_input,
                                     const DeviceInfo& device, std::size_t limit) {
  std::vector<ConvTactic> tactics;
  if (planar_input) {
    if (conv_stem_supports(p)) tactics.push_back({"conv stem", 0, launch_conv_stem});
    return tactics;
  }
  if (conv_depthwise_supports(p)) {
    tactics.push_back({"conv depthwise", 0, launch_conv_depthwise});
    return tactics;
  }
  if (!conv_tile_supports(p)) return tactics;
  for (const ConvTile& tile : conv_tiles()) {
    if (tile.shared_bytes > device.shared_bytes_per_block) continue;
    if (tile.needs_sm90a && device.sm() != 90) continue;
    for (const int splits : {1, 2, 4, 8}) {
      // Clusters came with sm_90; a block with less than two steps gains nothing from sharing.
      if (splits > 1 && (device.sm() < 90 || ceil_div(p.reduction(), tile.k) < 2 * splits)) break;
      tactics.push_back(tile_tactic(tile, splits, predict_conv_tile(p, tile, splits, device)));
    }
  }
  for (const ConvHalo& halo : conv_halos()) {
    if (!conv_halo_supports(halo, p) || halo.shared_bytes > device.shared_bytes_per_block) continue;
    if (halo.needs_sm90a && device.sm() != 90) continue;
    tactics.push_back(halo_tactic(halo, predict_conv_halo(p, halo, device)));
  }
  return most_promising(std::move(tactics), limit);
}

ConvTactic named_conv_tactic(std::string_view name) {
  for (const ConvHalo& halo : conv_halos()) {
    if (name == halo.name) return halo_tactic(halo, 0);
  }
  for (const ConvTile& tile : conv_tiles()) {
    if (!name.starts_with(tile.name)) continue;
    const std::string_view rest = name.substr(std::string_view(tile.name).size());
    if (rest.empty()) return tile_tactic(tile, 1, 0);
    for (const int splits : {2, 4, 8}) {
      if (rest == " /" + std::to_string(splits)) return tile_tactic(tile, splits, 0);
    }
  }
  throw Error(ErrorCode::kPlanMismatch, "the plan names the convolution kernel '" +
                                            std::string(name) +
                                            "', which this version does not have; build it again");
}

}  // namespace peregrine::cuda
