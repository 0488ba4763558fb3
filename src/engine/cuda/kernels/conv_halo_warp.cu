// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/conv_halo.cuh"

// Each warp multiplies 32 pixels (two rows of 16) with mma.sync. Blocks hold one tile at a time;
// several share a multiprocessor, so that one's copies pass while another multiplies.
namespace peregrine::cuda {
namespace {

constexpr int kTileWidth = 16;

template <int Chunks, int N, int Stride, int Warps>
struct WarpHaloShape {
  static constexpr int kThreads = 32 * Warps, kTileHeight = 2 * Warps;
  using Input = Halo<Chunks, Stride, kTileHeight, kTileWidth>;
  using Writer = PixelWriter<N, kTileWidth>;
  static constexpr int kSteps = (9 * Chunks + 1) / 2;  // of 16 along K
  // An odd number of chunks a row: eight rows of one ldmatrix then hit eight bank groups.
  static constexpr int kWeightChunks = 2 * kSteps + 1;
  static constexpr int kWeightBytes = N * kWeightChunks * 16;
  static constexpr int kBiasOffset = Input::kBytes + kWeightBytes;
  static constexpr int kStagingOffset = kBiasOffset + N * 4;
  static constexpr int kSharedBytes = kStagingOffset + Warps * Writer::kStagingBytes;
};

template <int Chunks, int N, int Stride, int Warps>
__global__ void __launch_bounds__(32 * Warps)
    conv_halo_warp_kernel(const __grid_constant__ ConvHaloParams params) {
  using Shape = WarpHaloShape<Chunks, N, Stride, Warps>;
  using Input = typename Shape::Input;
  extern __shared__ __align__(128) unsigned char shared[];
  const ConvParams& p = params.conv;
  let_next_kernel_start();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int first_channel = static_cast<int>(blockIdx.y) * N;
  const std::uint32_t pixels = shared_address(shared), weights = pixels + Input::kBytes;
  float* bias = reinterpret_cast<float*>(shared + Shape::kBiasOffset);
  __half* staging = reinterpret_cast<__half*>(shared + Shape::kStagingOffset +
                                              warp * Shape::Writer::kStagingBytes);

  // Weights belong to the plan: they may load while the previous kernel still runs. An odd number
  // of chunks gets a last one of zeros.
  for (int i = thread; i < N * 2 * Shape::kSteps; i += Shape::kThreads) {
    const int row = i / (2 * Shape::kSteps), chunk = i % (2 * Shape::kSteps);
    const int n = first_channel + row;
    copy_16_async<false>(weights + (row * Shape::kWeightChunks + chunk) * 16,
                         static_cast<const __half*>(p.weight) + (n * 9 * Chunks + chunk) * 8,
                         n < p.out_channels && chunk < 9 * Chunks);
  }
  load_bias<N>(p, first_channel, bias);
  wait_for_previous_kernel();

  constexpr int kPairs = (N + 15) / 16;  // of columns of eight
  // Rows of the weights that a lane fetches; the second half of a single eight goes unused.
  const int weight_row = lane % 8 + (N > 8 ? lane / 16 * 8 : 0);
#pragma unroll 1
  for (int tile = static_cast<int>(blockIdx.x); tile < params.tiles;
       tile += static_cast<int>(gridDim.x)) {
    const TilePlace place(params, tile, Shape::kTileHeight, kTileWidth);
    Input::load(p, place, pixels, thread, Shape::kThreads);
    commit_copies();
    wait_copies<0>();
    __syncthreads();
    float sum[2][N / 8][4] = {};
#pragma unroll
    for (int step = 0; step < Shape::kSteps; ++step) {
      // Eight channels a pixel: the two halves of a step are two taps. What stands where the
      // weights are zero does not matter, as long as it is of the picture.
      const int tap = min((2 * step + (Chunks == 1 ? lane / 16 : 0)) / Chunks, 8);
      const int chunk = Chunks == 1 ? 0 : 2 * step % Chunks + lane / 16;
      std::uint32_t a[2][4], b[kPairs][4];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int row = (warp * 2 + i) * Stride + tap / 3, dx = tap % 3;
        const int position = Stride == 1
                                 ? row * Input::kPitch + lane % 16 + dx
                                 : row * Input::kPitch + dx % 2 * Input::kEven + lane % 16 + dx / 2;
        load_matrix_x4(a[i], pixels + Input::offset(position, chunk));
      }
#pragma unroll
      for (int i = 0; i < kPairs; ++i) {
        load_matrix_x4(b[i], weights + ((weight_row + i * 16) * Shape::kWeightChunks + 2 * step +
                                        lane / 8 % 2) *
                                           16);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
#pragma unroll
        for (int j = 0; j < N / 8; ++j) {
          multiply_16x8x16(sum[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
        }
      }
    }
    __syncthreads();  // the next tile overwrites this one's pixels
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      Shape::Writer::write(p, sum[i], place.image, place.y + warp * 2 + i, place.x, first_channel,
                           bias, staging);
    }
  }
}

template <int Channels, int N, int Stride, int Warps>
ConvHalo make_halo() {
  using Shape = WarpHaloShape<Channels / 8, N, Stride, Warps>;
  static_assert(N == 8 || N % 16 == 0);
  ConvHalo halo;
  halo.name = "conv halo " + std::to_string(Channels) + "x" + std::to_string(N) +
              (Stride == 2 ? " s2" : "");
  halo.in_channels = Channels;
  halo.n = N;
  halo.stride = Stride;
  halo.tile_height = Shape::kTileHeight;
  halo.tile_width = kTileWidth;
  halo.tiles_at_once = 1;
  halo.threads = Shape::kThreads;
  halo.shared_bytes = Shape::kSharedBytes;
  halo.needs_sm90a = false;
  halo.kernel =
      reinterpret_cast<const void*>(&conv_halo_warp_kernel<Channels / 8, N, Stride, Warps>);
  return halo;
}

}  // namespace

// Input channels, output channels at a time, stride, warps.
std::vector<ConvHalo> warp_conv_halos() {
  return {
      make_halo<8, 8, 1, 8>(),   make_halo<8, 16, 1, 8>(),  make_halo<16, 8, 1, 8>(),
      make_halo<16, 16, 1, 8>(), make_halo<16, 32, 1, 8>(), make_halo<32, 16, 1, 8>(),
      make_halo<32, 32, 1, 8>(), make_halo<32, 64, 1, 8>(), make_halo<64, 32, 1, 8>(),
      make_halo<64, 64, 1, 8>(), make_halo<16, 32, 2, 4>(), make_halo<32, 64, 2, 4>(),
  };
}

}  // namespace peregrine::cuda
