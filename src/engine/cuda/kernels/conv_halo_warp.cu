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
  using Input = Halo<Chunks, Stride, kTileHeight, kTileWidth, 8>;
  using Writer = PixelWriter<N, kTileWidth>;
  static constexpr int kSteps = (9 * Chunks + 1) / 2;  // of 16 along K
  // An odd number of chunks a row: eight rows of one ldmatrix then hit eight bank groups.
  static constexpr int kWeightChunks = 2 * kSteps + 1;
  static constexpr int kWeightBytes = N * kWeightChunks * 16;
  static constexpr int kBiasOffset = Input::kBytes + kWeightBytes;
  static constexpr int kStagingOffset = kBiasOffset + N * 4;
  static constexpr int kSharedBytes = kStagingOffset + 2 * Warps * Writer::kBytes;
};

/// Where a lane finds the left operand of each step for a row of 16 pixels: for its column and the
/// three taps along x, the rest are constants.
template <typename Shape, int Chunks, int Stride>
class LeftOperand {
 public:
  __device__ LeftOperand(std::uint32_t pixels, int row) {
    using Input = typename Shape::Input;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    second_ = lane / 16;
#pragma unroll
    for (int dx = 0; dx < 3; ++dx) {
      const int column = Stride == 1 ? lane % 16 + dx : dx % 2 * Input::kEven + lane % 16 + dx / 2;
      at_[dx] = pixels + Input::offset(row * Input::kPitch + column, Chunks == 1 ? 0 : second_);
    }
  }
  __device__ __forceinline__ std::uint32_t address(int step) const {
    // Eight channels a pixel: the two halves of a step are two taps. What stands where the weights
    // are zero does not matter, as long as it is of the picture.
    if constexpr (Chunks == 1) {
      const std::uint32_t first = tap(2 * step), other = tap(min(2 * step + 1, 8));
      return second_ ? other : first;
    } else {
      return tap(2 * step / Chunks) ^ static_cast<std::uint32_t>(2 * step % Chunks * 16);
    }
  }

 private:
  __device__ __forceinline__ std::uint32_t tap(int index) const {
    return at_[index % 3] + index / 3 * Shape::Input::kRowBytes;
  }
  std::uint32_t at_[3];
  int second_;
};

template <int Chunks, int N, int Stride, int Warps, int Resident>
__global__ void __launch_bounds__(32 * Warps, Resident)
    conv_halo_warp_kernel(const __grid_constant__ ConvHaloParams params) {
  using Shape = WarpHaloShape<Chunks, N, Stride, Warps>;
  using Writer = typename Shape::Writer;
  extern __shared__ __align__(128) unsigned char shared[];
  const ConvParams& p = params.conv;
  let_next_kernel_start();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int first_channel = static_cast<int>(blockIdx.y) * N;
  const std::uint32_t pixels = shared_address(shared), weights = pixels + Shape::Input::kBytes;
  float* bias = reinterpret_cast<float*>(shared + Shape::kBiasOffset);
  __half* staging =
      reinterpret_cast<__half*>(shared + Shape::kStagingOffset + 2 * warp * Writer::kBytes);

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

  const LeftOperand<Shape, Chunks, Stride> left(pixels, warp * 2 * Stride);
  constexpr int kNextRow = Stride * Shape::Input::kRowBytes;
  constexpr int kPairs = (N + 15) / 16;  // of columns of eight
  // Rows of the weights that a lane fetches; the second half of a single eight goes unused.
  const int weight_row = lane % 8 + (N > 8 ? lane / 16 * 8 : 0);
  const std::uint32_t right = weights + (weight_row * Shape::kWeightChunks + lane / 8 % 2) * 16;
#pragma unroll 1
  for (int tile = static_cast<int>(blockIdx.x); tile < params.tiles;
       tile += static_cast<int>(gridDim.x)) {
    const TilePlace place(params, tile, Shape::kTileHeight, kTileWidth);
    const Writer upper(p, place, warp * 2, 0, first_channel, staging);
    const Writer lower(p, place, warp * 2 + 1, 0, first_channel, staging + Writer::kBytes / 2);
    Shape::Input::load(p, place, pixels, thread, Shape::kThreads);
    upper.load_residual();
    lower.load_residual();
    commit_copies();
    wait_copies<0>();
    __syncthreads();
    float sum[2][N / 8][4] = {};
#pragma unroll
    for (int step = 0; step < Shape::kSteps; ++step) {
      std::uint32_t a[2][4], b[kPairs][4];
      load_matrix_x4(a[0], left.address(step));
      load_matrix_x4(a[1], left.address(step) + kNextRow);
#pragma unroll
      for (int i = 0; i < kPairs; ++i) {
        load_matrix_x4(b[i], right + (i * 16 * Shape::kWeightChunks + 2 * step) * 16);
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
    upper.write(sum[0], bias);
    lower.write(sum[1], bias);
  }
}

/// `Resident` blocks are to fit a multiprocessor at once, as far as registers go.
template <int Channels, int N, int Stride, int Warps, int Resident>
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
  halo.kernel = reinterpret_cast<const void*>(
      &conv_halo_warp_kernel<Channels / 8, N, Stride, Warps, Resident>);
  return halo;
}

}  // namespace

// Input channels, output channels at a time, stride, warps, resident blocks.
std::vector<ConvHalo> warp_conv_halos() {
  return {
      make_halo<8, 8, 1, 8, 5>(),   make_halo<8, 16, 1, 8, 5>(),  make_halo<16, 8, 1, 8, 4>(),
      make_halo<16, 16, 1, 8, 4>(), make_halo<16, 32, 1, 8, 3>(), make_halo<32, 16, 1, 8, 4>(),
      make_halo<32, 32, 1, 8, 3>(), make_halo<32, 64, 1, 8, 1>(), make_halo<64, 32, 1, 8, 1>(),
      make_halo<64, 64, 1, 8, 1>(), make_halo<16, 32, 2, 4, 5>(), make_halo<32, 64, 2, 4, 2>(),
  };
}

}  // namespace peregrine::cuda
