// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>
#include <vector>

#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels/conv.h"
#include "engine/cuda/kernels/conv_halo.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

using peregrine::testing::poison;
using peregrine::testing::random_halves;
using peregrine::testing::relative_error;

struct Case {
  const char* name;
  int in, out, kernel, stride = 1;
  int height = 20, width = 20;
  int groups = 1;  // `in` and `out` count all groups
  int batch = 1;
  int dilation = 1;
  int second = 0;    // this many of `in` come from a second tensor
  int upsample = 0;  // of the first tensor
  int slack = 0;     // channels beside ours in every tensor
  Activation activation = Activation::kSilu;
  int residual = 0;  // 1: after the activation, 2: before
  bool fp32 = false;
  bool biased = true;
  int pad = -1;  // -1: kernel / 2
};

const Case kCases[] = {
    {"1x1", 64, 64, 1},
    {"3x3", 64, 64, 3},
    {"3x3 of few channels", 16, 8, 3, 1, 40, 40},
    {"3x3 of eight channels", 8, 16, 3, 1, 24, 33},
    {"3x3 stride 2, odd size, batch 3", 32, 48, 3, 2, 17, 23, 1, 3},
    {"5x5 dilated", 24, 40, 5, 1, 13, 19, 1, 2, 2},
    {"no padding", 16, 32, 3, 1, 12, 9, 1, 1, 1, 0, 0, 0, Activation::kRelu, 0, false, true, 0},
    {"two sources", 96, 64, 1, 1, 20, 20, 1, 2, 1, 32},
    {"two sources, the first enlarged", 96, 80, 3, 1, 20, 28, 1, 2, 1, 32, 1},
    {"slices of wider tensors", 48, 64, 3, 1, 20, 20, 1, 2, 1, 16, 0, 24},
    {"residual after SiLU", 32, 32, 3, 1, 20, 20, 1, 2, 1, 0, 0, 8, Activation::kSilu, 1},
    {"residual before ReLU", 64, 128, 1, 1, 14, 14, 1, 3, 1, 0, 0, 0, Activation::kRelu, 2},
    {"FP32 out", 80, 80, 1, 1, 20, 20, 1, 1, 1, 0, 0, 0, Activation::kSigmoid, 0, true},
    {"odd output channels", 64, 7, 1, 1, 20, 20, 1, 2, 1, 0, 0, 0, Activation::kNone},
    {"odd output channels, residual", 64, 13, 3, 1, 9, 9, 1, 1, 1, 0, 0, 8, Activation::kNone, 1},
    {"no bias", 32, 32, 1, 1, 10, 10, 1, 1, 1, 0, 0, 0, Activation::kNone, 0, false, false},
    {"two groups", 48, 80, 3, 1, 15, 15, 2, 2},
    {"long K", 512, 64, 3, 1, 10, 10},
};

int out_size(int in, const Case& c, int pad) {
  return (in + 2 * pad - c.dilation * (c.kernel - 1) - 1) / c.stride + 1;
}

double activate(double x, Activation kind) {
  switch (kind) {
    case Activation::kRelu: return x > 0 ? x : 0;
    case Activation::kSilu: return x / (1 + std::exp(-x));
    case Activation::kSigmoid: return 1 / (1 + std::exp(-x));
    default: return x;
  }
}

/// A case's tensors on host and device, and the right answer by plain loops in double.
class Problem {
 public:
  explicit Problem(const Case& c) : c_(c) {
    const int pad = c.pad < 0 ? c.kernel / 2 * c.dilation : c.pad;
    params_.batch = c.batch;
    params_.in_height = c.height;
    params_.in_width = c.width;
    params_.in_channels = c.in / c.groups;
    params_.out_height = out_size(c.height, c, pad);
    params_.out_width = out_size(c.width, c, pad);
    params_.out_channels = c.out / c.groups;
    params_.groups = c.groups;
    params_.kernel_height = params_.kernel_width = c.kernel;
    params_.stride_y = params_.stride_x = c.stride;
    params_.pad_top = params_.pad_left = pad;
    params_.dilation_y = params_.dilation_x = c.dilation;
    params_.activation = {c.activation, 0, 0};
    params_.residual_before_activation = c.residual == 2;
    params_.output_fp32 = c.fp32;
    unsigned seed = 1;
    for (int i = 0; i < 2; ++i) {
      ConvSource& source = params_.source[i];
      source.channels = i == 0 ? c.in - c.second : c.second;
      source.upsample_shift = i == 0 ? c.upsample : 0;
      source.height = c.height >> source.upsample_shift;
      source.width = c.width >> source.upsample_shift;
      source.pixel_stride = source.channels + c.slack;
      input_[i] = random_halves(
          std::size_t(c.batch) * source.height * source.width * source.pixel_stride, seed++);
    }
    const int reduction = params_.reduction();
    weight_ = random_halves(std::size_t(c.out) * reduction, seed++, std::sqrt(6.0f / reduction));
    bias_ = c.biased ? random_halves(c.out, seed++) : std::vector<float>();
    params_.output_stride = c.out + c.slack;
    params_.residual_stride = c.out + c.slack;
    residual_ = random_halves(std::size_t(params_.pixels()) * params_.residual_stride, seed++);
  }

  std::vector<float> expected() const {
    std::vector<float> answer(std::size_t(params_.pixels()) * c_.out);
    for (int m = 0; m < params_.pixels(); ++m) {
      for (int n = 0; n < c_.out; ++n) answer[std::size_t(m) * c_.out + n] = float(at(m, n));
    }
    return answer;
  }

  /// Runs `launch(params, stream)` and returns our channels of its output.
  template <typename Launch>
  std::vector<float> run(Launch&& launch) {
    upload();
    poison(output_);
    const Stream stream = make_stream();
    launch(params_, stream.get());
    CUDA_CHECK(cudaStreamSynchronize(stream.get()));
    const std::vector<float> all = params_.output_fp32
                                       ? peregrine::testing::to_host<float>(output_)
                                       : peregrine::testing::to_host_from_half(output_);
    std::vector<float> ours;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (int(i % params_.output_stride) < c_.out) {
        ours.push_back(all[i]);
      } else {
        EXPECT_TRUE(std::isnan(all[i])) << "wrote a neighbour's channel";
      }
    }
    return ours;
  }

  ConvParams& params() { return params_; }
  const std::vector<float>& input() const { return input_[0]; }
  std::vector<float>& weight() { return weight_; }

 private:
  double at(int m, int n) const {
    const int x = m % params_.out_width, y = m / params_.out_width % params_.out_height;
    const int image = m / params_.out_width / params_.out_height;
    const int group = n / params_.out_channels;
    double sum = 0;
    for (int i = 0; i < c_.kernel; ++i) {
      for (int j = 0; j < c_.kernel; ++j) {
        const int from_y = y * c_.stride - params_.pad_top + i * c_.dilation;
        const int from_x = x * c_.stride - params_.pad_left + j * c_.dilation;
        if (from_y < 0 || from_y >= c_.height || from_x < 0 || from_x >= c_.width) continue;
        for (int k = 0; k < params_.in_channels; ++k) {
          int channel = group * params_.in_channels + k;
          const int which = channel >= params_.source[0].channels;
          if (which) channel -= params_.source[0].channels;
          const ConvSource& s = params_.source[which];
          const std::size_t pixel =
              (std::size_t(image) * s.height + (from_y >> s.upsample_shift)) * s.width +
              (from_x >> s.upsample_shift);
          sum += double(input_[which][pixel * s.pixel_stride + channel]) *
                 weight_[(std::size_t(n) * c_.kernel * c_.kernel + i * c_.kernel + j) *
                             params_.in_channels +
                         k];
        }
      }
    }
    if (!bias_.empty()) sum += bias_[n];
    const double residual = residual_[std::size_t(m) * params_.residual_stride + n];
    if (c_.residual == 2) sum += residual;
    sum = activate(sum, c_.activation);
    return c_.residual == 1 ? sum + residual : sum;
  }

  void upload() {
    using peregrine::testing::to_device_half;
    device_.clear();
    for (int i = 0; i < 2; ++i) {
      device_.push_back(to_device_half(input_[i]));
      params_.source[i].data = device_.back().data();
    }
    device_.push_back(to_device_half(weight_));
    params_.weight = device_.back().data();
    device_.push_back(peregrine::testing::to_device(bias_));
    params_.bias = device_.back().as<float>();
    device_.push_back(to_device_half(residual_));
    params_.residual = c_.residual ? device_.back().data() : nullptr;
    const std::size_t size = params_.output_fp32 ? 4 : 2;
    output_ = DeviceBuffer(std::size_t(params_.pixels()) * params_.output_stride * size);
    params_.output = output_.data();
  }

  const Case& c_;
  ConvParams params_;
  std::vector<float> input_[2], weight_, bias_, residual_;
  std::vector<DeviceBuffer> device_;
  DeviceBuffer output_;
};

// FP16 results are rounded once (2^-11 at most, 2^-12.5 in the mean square); FP32 ones not at all.
double tolerance(const Case& c) { return c.fp32 ? 2e-6 : 4e-4; }

class ConvTest : public ::testing::TestWithParam<Case> {};

TEST_P(ConvTest, EveryTileAgreesWithPlainLoops) {
  PEREGRINE_NEEDS_GPU();
  Problem problem(GetParam());
  const std::vector<float> expected = problem.expected();
  const int sm = device_info(0).sm();
  for (const ConvTile& tile : conv_tiles()) {
    if (tile.needs_sm90a && sm != 90) continue;
    for (const int splits : {1, 2, 3, 8}) {
      if (splits > 1 && sm < 90) continue;
      const std::vector<float> answer = problem.run([&](const ConvParams& p, cudaStream_t stream) {
        ASSERT_TRUE(conv_tile_supports(p));
        launch_conv_tile(tile, p, splits, true, stream);
      });
      EXPECT_LT(relative_error(answer, expected), tolerance(GetParam()))
          << tile.name << ", " << splits << " splits";
    }
  }
}

// Each compiled shape of the halo kernel: whole and broken tiles, more tiles than blocks fit a GPU,
// slices, residuals.
TEST(ConvHalos, AgreeWithPlainLoops) {
  PEREGRINE_NEEDS_GPU();
  const int sm = device_info(0).sm();
  for (const ConvHalo& halo : conv_halos()) {
    if (halo.needs_sm90a && sm != 90) continue;
    const int in = halo.in_channels, n = halo.n, s = halo.stride;
    const Case cases[] = {
        {"whole tiles", in, n, 3, s, 32, 48, 1, 2},
        {"broken tiles, batch 3", in, n, 3, s, 21, 37, 1, 3},
        {"smaller than a tile, slices", in, n, 3, s, 5, 3, 1, 2, 1, 0, 0, 16},
        {"more channels than one pass", in, n + 8, 3, s, 20, 20},
        {"no padding", in, n, 3, s, 19, 18, 1, 1, 1, 0, 0, 0, Activation::kRelu, 0, false, true, 0},
        {"residual after SiLU", in, n, 3, s, 20, 20, 1, 2, 1, 0, 0, 8, Activation::kSilu, 1},
        {"residual before ReLU", in, n + 8, 3, s, 9, 40, 1, 1, 1, 0, 0, 0, Activation::kRelu, 2},
        {"no bias", in, n, 3, s, 16, 16, 1, 1, 1, 0, 0, 0, Activation::kNone, 0, false, false},
    };
    for (const Case& c : cases) {
      Problem problem(c);
      const std::vector<float> expected = problem.expected();
      const std::vector<float> answer = problem.run([&](const ConvParams& p, cudaStream_t stream) {
        ASSERT_TRUE(conv_halo_supports(halo, p));
        launch_conv_halo(halo, p, true, stream);
      });
      // A residual is added to what was summed in FP32, so all is rounded once.
      EXPECT_LT(relative_error(answer, expected), 4e-4) << halo.name << ": " << c.name;
    }
  }
}

// Blocks that go from tile to tile: every image of a large batch is the first one.
TEST(ConvHalos, GoOnToTheNextTile) {
  PEREGRINE_NEEDS_GPU();
  const int sm = device_info(0).sm();
  for (const ConvHalo& halo : conv_halos()) {
    if (halo.needs_sm90a && sm != 90) continue;
    const Case c{"large", halo.in_channels, halo.n, 3, halo.stride, 80, 80, 1, 1};
    Problem one(c);
    const std::vector<float> expected = one.run(
        [&](const ConvParams& p, cudaStream_t stream) { launch_conv_halo(halo, p, true, stream); });
    constexpr int kImages = 160;  // 160 x 25 tiles and more: several for each block
    std::vector<float> pixels;
    for (int i = 0; i < kImages; ++i)
      pixels.insert(pixels.end(), one.input().begin(), one.input().end());
    const DeviceBuffer input = peregrine::testing::to_device_half(pixels);
    DeviceBuffer output(expected.size() * kImages * 2);
    poison(output);
    one.run([&](ConvParams p, cudaStream_t stream) {
      p.batch = kImages;
      p.source[0].data = input.data();
      p.output = output.data();
      launch_conv_halo(halo, p, true, stream);
    });
    const std::vector<float> answer = peregrine::testing::to_host_from_half(output);
    for (int i = 0; i < kImages; ++i) {
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(),
                             answer.begin() + std::ptrdiff_t(expected.size()) * i))
          << halo.name << ", image " << i;
    }
  }
}

TEST(ConvHalos, RefuseWhatIsNotTheirs) {
  Problem problem(kCases[0]);
  for (const ConvHalo& halo : conv_halos()) {
    EXPECT_FALSE(conv_halo_supports(halo, problem.params())) << halo.name;
    try {
      launch_conv_halo(halo, problem.params(), false, nullptr);
      FAIL() << halo.name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kPlanMismatch);
    }
  }
}

// What a model's output is: planes of FP32, images further apart than they need be.
TEST(ConvPlanes, EveryTileWritesPlanes) {
  PEREGRINE_NEEDS_GPU();
  const Case c{"planes", 64, 19, 3, 1, 9, 11, 1, 3, 1, 0, 0, 0, Activation::kSilu, 0, true};
  Problem problem(c);
  const std::vector<float> expected = problem.expected();
  constexpr int kPixels = 9 * 11, kPlane = kPixels + 5, kImage = 19 * kPlane + 7;
  const int sm = device_info(0).sm();
  for (const ConvTile& tile : conv_tiles()) {
    if (tile.needs_sm90a && sm != 90) continue;
    DeviceBuffer planes(std::size_t(c.batch) * kImage * 4);
    peregrine::testing::poison(planes);
    problem.run([&](ConvParams p, cudaStream_t stream) {
      p.output = planes.data();
      p.output_stride = 1;
      p.output_channel_stride = kPlane;
      p.output_image_stride = kImage;
      launch_conv_tile(tile, p, 1, true, stream);
    });
    const std::vector<float> all = peregrine::testing::to_host<float>(planes);
    std::vector<float> answer;
    for (int m = 0; m < c.batch * kPixels; ++m) {
      for (int n = 0; n < c.out; ++n) {
        answer.push_back(all[std::size_t(m / kPixels) * kImage + n * kPlane + m % kPixels]);
      }
    }
    EXPECT_LT(relative_error(answer, expected), tolerance(c)) << tile.name;
    const auto untouched =
        std::count_if(all.begin(), all.end(), [](float v) { return std::isnan(v); });
    EXPECT_EQ(all.size() - std::size_t(untouched), expected.size()) << tile.name;
  }
}

// A block of 3 x 2 pixels from each: a transposed convolution. Images lie apart, pixels have a
// slack.
TEST(ConvBlocks, EveryTilePutsEachPixelInItsPlace) {
  PEREGRINE_NEEDS_GPU();
  const Case c{"blocks", 40, 96, 1, 1, 7, 9, 1, 2, 1, 0, 0, 8, Activation::kSilu};
  constexpr int kHeight = 3, kWidth = 2, kChannels = 96 / (kHeight * kWidth), kStride = 24;
  Problem problem(c);
  const std::vector<float> expected = problem.expected();
  const int width = c.width * kWidth, height = c.height * kHeight;
  const int image_stride = width * height * kStride + 64;
  const int sm = device_info(0).sm();
  for (const ConvTile& tile : conv_tiles()) {
    if (tile.needs_sm90a && sm != 90) continue;
    DeviceBuffer enlarged(std::size_t(c.batch) * image_stride * 2);
    peregrine::testing::poison(enlarged);
    problem.run([&](ConvParams p, cudaStream_t stream) {
      p.output = enlarged.data();
      p.block_channels = kChannels, p.block_height = kHeight, p.block_width = kWidth;
      p.output_stride = kStride;
      p.output_row_stride = width * kStride;
      p.output_image_stride = image_stride;
      ASSERT_TRUE(conv_tile_supports(p));
      launch_conv_tile(tile, p, 1, true, stream);
    });
    const std::vector<float> all = peregrine::testing::to_host_from_half(enlarged);
    std::vector<float> answer;
    for (int m = 0; m < c.batch * c.height * c.width; ++m) {
      const int image = m / (c.height * c.width);
      const int y = m / c.width % c.height, x = m % c.width;
      for (int n = 0; n < c.out; ++n) {
        const int part = n / kChannels;
        const int row = y * kHeight + part / kWidth, column = x * kWidth + part % kWidth;
        answer.push_back(all[std::size_t(image) * image_stride +
                             std::size_t(row * width + column) * kStride + n % kChannels]);
      }
    }
    EXPECT_LT(relative_error(answer, expected), tolerance(c)) << tile.name;
    const auto written =
        all.size() -
        std::size_t(std::count_if(all.begin(), all.end(), [](float v) { return std::isnan(v); }));
    EXPECT_EQ(written, expected.size()) << tile.name << " wrote beside its channels";
  }
}

INSTANTIATE_TEST_SUITE_P(All, ConvTest, ::testing::ValuesIn(kCases), [](const auto& c) {
  std::string name;
  for (const char* s = c.param.name; *s; ++s) name += std::isalnum(*s) ? *s : '_';
  return name;
});

const Case kDepthwiseCases[] = {
    {"3x3", 64, 64, 3, 1, 20, 20, 64, 2},
    {"3x3, odd width, stride 2", 80, 80, 3, 2, 21, 19, 80, 3},
    {"5x5 with residual, slices", 24, 24, 5, 1, 11, 14, 24, 1, 1, 0, 0, 8, Activation::kRelu, 1},
    {"5x5 stride 2", 16, 16, 5, 2, 15, 15, 16, 2},
    {"7x7", 96, 96, 7, 1, 14, 14, 96, 1, 1, 0, 0, 0, Activation::kNone, 2},
};

TEST(ConvDepthwise, AgreesWithPlainLoops) {
  PEREGRINE_NEEDS_GPU();
  for (const Case& c : kDepthwiseCases) {
    Problem problem(c);
    const std::vector<float> expected = problem.expected();
    // [channel][tap] becomes [tap][channel].
    std::vector<float> by_tap(problem.weight().size());
    const int taps = c.kernel * c.kernel;
    for (int n = 0; n < c.in; ++n) {
      for (int tap = 0; tap < taps; ++tap)
        by_tap[tap * c.in + n] = problem.weight()[n * taps + tap];
    }
    problem.weight() = by_tap;
    const std::vector<float> answer = problem.run([&](const ConvParams& p, cudaStream_t stream) {
      ASSERT_TRUE(conv_depthwise_supports(p));
      launch_conv_depthwise(p, true, stream);
    });
    EXPECT_LT(relative_error(answer, expected), 4e-4) << c.name;
  }
}

const Case kStemCases[] = {
    {"3x3 to 16", 3, 16, 3, 2, 70, 68},
    {"3x3 to 32, odd", 3, 32, 3, 2, 41, 77, 1, 3},
    {"7x7 to 64", 3, 64, 7, 2, 50, 62, 1, 2, 1, 0, 0, 0, Activation::kRelu},
    {"3x3 to 48, slices", 3, 48, 3, 2, 19, 36, 1, 1, 1, 0, 0, 16},
    {"6x6 to 32", 3, 32, 6, 2, 40, 44, 1, 2, 1, 0, 0, 0, Activation::kSilu, 0, false, true, 2},
};

TEST(ConvStem, AgreesWithPlainLoopsOnPlanarInput) {
  PEREGRINE_NEEDS_GPU();
  for (const Case& c : kStemCases) {
    Problem problem(c);
    const std::vector<float> expected = problem.expected();
    const int pixels = c.height * c.width, taps = c.kernel * c.kernel;
    // The problem's NHWC picture as packed planes, its [n][tap][c] weights as padded [n][c][tap].
    const std::vector<float>& picture = problem.input();
    std::vector<float> planes(std::size_t(c.batch) * c.in * pixels);
    for (int image = 0; image < c.batch; ++image) {
      for (int k = 0; k < c.in; ++k) {
        for (int i = 0; i < pixels; ++i) {
          planes[(std::size_t(image) * c.in + k) * pixels + i] =
              picture[(std::size_t(image) * pixels + i) * (c.in + c.slack) + k];
        }
      }
    }
    const int pitch = conv_stem_padded_reduction(problem.params());
    std::vector<float> weight(std::size_t(c.out) * pitch);
    for (int n = 0; n < c.out; ++n) {
      for (int tap = 0; tap < taps; ++tap) {
        for (int k = 0; k < c.in; ++k) {
          weight[n * pitch + k * taps + tap] = problem.weight()[(n * taps + tap) * c.in + k];
        }
      }
    }
    problem.weight() = weight;
    const DeviceBuffer input = peregrine::testing::to_device(planes);
    const std::vector<float> answer = problem.run([&](ConvParams p, cudaStream_t stream) {
      p.source[0].data = input.data();
      ASSERT_TRUE(conv_stem_supports(p));
      launch_conv_stem(p, true, stream);
    });
    // The picture is rounded to FP16 already, so only the result's rounding is left.
    EXPECT_LT(relative_error(answer, expected), 4e-4) << c.name;
  }
}

TEST(ConvStem, AgreesWithPlainLoopsOnPixelsOfHalves) {
  PEREGRINE_NEEDS_GPU();
  for (const Case& each : kStemCases) {
    // The problem's fourth channel has weights of zero; odd widths are not the stem's.
    Case c = each;
    c.in = 4;
    c.slack = 0;
    c.width += c.width % 2;
    Problem problem(c);
    const int taps = c.kernel * c.kernel, pitch = conv_stem_padded_reduction(problem.params());
    std::vector<float> weight(std::size_t(c.out) * pitch);
    for (int n = 0; n < c.out; ++n) {
      for (int k = 0; k < taps * 4; ++k) {
        float& own = problem.weight()[n * taps * 4 + k];
        if (k % 4 == 3) own = 0;
        weight[n * pitch + k] = own;
      }
    }
    const std::vector<float> expected = problem.expected();
    problem.weight() = weight;
    const std::vector<float> answer = problem.run([&](const ConvParams& p, cudaStream_t stream) {
      ASSERT_TRUE(conv_stem_supports(p));
      launch_conv_stem(p, true, stream);
    });
    EXPECT_LT(relative_error(answer, expected), 4e-4) << c.name;
  }
}

}  // namespace
}  // namespace peregrine::cuda
