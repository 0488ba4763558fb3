// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/conv_halo.cuh"
#include "engine/cuda/kernels/warpgroup.cuh"

// Hopper: the tensor cores read taps straight from the halo. A pixel of 64 channels is a row of 128
// bytes, and eight neighbours are the eight rows of a group, wherever they start: the swizzle is
// one of addresses. A block holds all weights and two teams, each with tiles of its own in two
// buffers: while one team turns sums into results the other keeps the tensor cores busy.
namespace peregrine::cuda {
namespace {

constexpr int kChannels = 64, kTeams = 2, kTeamThreads = 256;
constexpr int kTileHeight = 8, kTileWidth = 16;  // a warpgroup has 8 x 8 of it

template <int N>
struct WarpgroupHaloShape {
  using Input = Halo<kChannels / 8, 1, kTileHeight, kTileWidth, 1>;
  using Writer = PixelWriter<N, 8>;
  static constexpr int kThreads = kTeams * kTeamThreads;
  static constexpr int kTapBytes = N * kChannels * 2;
  static constexpr int kWeightBytes = 9 * kTapBytes;
  static constexpr int kBufferBytes = (Input::kBytes + 1023) / 1024 * 1024;
  static constexpr int kStagingOffset = kWeightBytes + kTeams * 2 * kBufferBytes;
  static constexpr int kBiasOffset = kStagingOffset + kThreads / 32 * Writer::kBytes;
  static constexpr int kSharedBytes = kBiasOffset + N * 4;
  static_assert(kTapBytes % 1024 == 0, "the swizzle starts anew with each tap");
};

__device__ __forceinline__ void wait_for_team(int team) {
  asm volatile("bar.sync %0, %1;" ::"r"(team + 1), "n"(kTeamThreads) : "memory");
}

template <int N>
__global__ void __launch_bounds__(kTeams* kTeamThreads)
    conv_halo_warpgroup_kernel(const __grid_constant__ ConvHaloParams params) {
  using Shape = WarpgroupHaloShape<N>;
  using Input = typename Shape::Input;
  extern __shared__ __align__(1024) unsigned char shared[];
  const ConvParams& p = params.conv;
  let_next_kernel_start();
  const int thread = static_cast<int>(threadIdx.x), team = thread / kTeamThreads;
  const int warp = thread / 32, member = thread % kTeamThreads;
  const int first_channel = static_cast<int>(blockIdx.y) * N;
  const std::uint32_t weights = shared_address(shared);
  const std::uint32_t buffers = weights + Shape::kWeightBytes + team * 2 * Shape::kBufferBytes;
  float* bias = reinterpret_cast<float*>(shared + Shape::kBiasOffset);
  __half* staging =
      reinterpret_cast<__half*>(shared + Shape::kStagingOffset + warp * Shape::Writer::kBytes);

  // Weights belong to the plan: they may load while the previous kernel still runs.
  for (int i = thread; i < N * 9 * 8; i += Shape::kThreads) {
    const int chunk = i % 8, tap = i / 8 % 9, row = i / 72, n = first_channel + row;
    copy_16_async<false>(
        weights + tap * Shape::kTapBytes + (row * 8 + (chunk ^ (row & 7))) * 16,
        static_cast<const __half*>(p.weight) + (n * 9 + tap) * kChannels + chunk * 8,
        n < p.out_channels);
  }
  load_bias<N>(p, first_channel, bias);
  wait_for_previous_kernel();

  const int step = static_cast<int>(gridDim.x) * kTeams;
  int tile = static_cast<int>(blockIdx.x) * kTeams + team, buffer = 0;
  if (tile < params.tiles) {
    Input::load(p, TilePlace(params, tile, kTileHeight, kTileWidth), buffers, member, kTeamThreads);
  }
  commit_copies();
  wait_copies<0>();
  publish_to_tensor_cores();
  __syncthreads();  // all weights are there

  // Of the team's tile, a warpgroup has the left or right half, a warp two rows of eight pixels.
  const int column = warp / 4 % 2 * 8, row = warp % 4 * 2;
#pragma unroll 1
  for (; tile < params.tiles; tile += step, buffer ^= 1) {
    const std::uint32_t pixels = buffers + buffer * Shape::kBufferBytes;
    const TilePlace place(params, tile, kTileHeight, kTileWidth);
    const typename Shape::Writer writer(p, place, row, column, first_channel, staging);
    writer.load_residual();
    commit_copies();
    if (tile + step < params.tiles) {
      Input::load(p, TilePlace(params, tile + step, kTileHeight, kTileWidth),
                  buffers + (buffer ^ 1) * Shape::kBufferBytes, member, kTeamThreads);
    }
    commit_copies();
    float sum[N / 8][4] = {};
    begin_products();
#pragma unroll
    for (int tap = 0; tap < 9; ++tap) {
      const std::uint32_t from = pixels + (tap / 3 * Input::kPitch + tap % 3 + column) * 128;
#pragma unroll
      for (int k = 0; k < kChannels / 16; ++k) {
        multiply_64xNx16(sum, matrix_descriptor(from + k * 32, Input::kPitch * 128),
                         matrix_descriptor(weights + tap * Shape::kTapBytes + k * 32));
      }
    }
    commit_products();
    wait_products();
    use_after_wait(sum);
    wait_copies<1>();  // the residual
    __syncwarp();
    writer.write(sum, bias);
    wait_copies<0>();
    publish_to_tensor_cores();
    wait_for_team(team);  // the next tile is there, and nobody reads this one any more
  }
}

template <int N>
ConvHalo make_halo() {
  using Shape = WarpgroupHaloShape<N>;
  ConvHalo halo;
  halo.name = "conv halo " + std::to_string(kChannels) + "x" + std::to_string(N) + " wg";
  halo.in_channels = kChannels;
  halo.n = N;
  halo.stride = 1;
  halo.tile_height = kTileHeight;
  halo.tile_width = kTileWidth;
  halo.tiles_at_once = kTeams;
  halo.threads = Shape::kThreads;
  halo.shared_bytes = Shape::kSharedBytes;
  halo.needs_sm90a = true;
  halo.kernel = reinterpret_cast<const void*>(&conv_halo_warpgroup_kernel<N>);
  return halo;
}

}  // namespace

std::vector<ConvHalo> warpgroup_conv_halos() {
  return {make_halo<32>(), make_halo<64>(), make_halo<80>()};
}

}  // namespace peregrine::cuda
