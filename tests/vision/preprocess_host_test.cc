// SPDX-License-Identifier: Apache-2.0
// The preprocessing kernel's code, thread by thread on the host, and what is refused before any
// kernel runs.
#include <limits>

#include <gtest/gtest.h>

#include "testing/expect_error.h"
#include "vision/pictures.h"
#include "vision/preprocess_cases.h"
#include "vision/preprocess_cuda.h"
#include "vision/preprocess_pixels.h"
#include "vision/preprocess_plan.h"

namespace peregrine::vision {
namespace {

// Every thread of every block, also those past the picture's edges.
template <typename Element>
void run_threads(const PreprocessTarget& target, const PictureJob& job, int picture) {
  constexpr int kColumns = kLanes * kPixels;
  for (int row = 0; row < (target.height + kRows - 1) / kRows * kRows; ++row) {
    for (int block = 0; block < (target.width + kColumns - 1) / kColumns; ++block) {
      for (int lane = 0; lane < kLanes; ++lane) {
        write_pixels<Element>(target, job, picture, row, block * kColumns + lane);
      }
    }
  }
}

template <typename Element>
std::vector<float> run_as(const PreprocessCase& one) {
  std::vector<Element> out(one.elements(), Element(std::numeric_limits<float>::quiet_NaN()));
  const PreprocessTarget target =
      plan_target(one.output(out.data()), one.frames.size(), one.job(0));
  for (std::size_t i = 0; i < one.frames.size(); ++i) {
    const PictureJob job = plan_picture(one.frames[i], one.job(i), Device::cpu());
    run_threads<Element>(target, job, static_cast<int>(i));
  }
  std::vector<float> floats(out.size());
  for (std::size_t i = 0; i < out.size(); ++i) floats[i] = static_cast<float>(out[i]);
  return floats;
}

std::vector<float> run(const PreprocessCase& one) {
  return one.dtype == DType::kFloat16 ? run_as<__half>(one) : run_as<float>(one);
}

TEST(PreprocessKernelOnHost, EveryColor) { check_every_color(run); }
TEST(PreprocessKernelOnHost, EverySize) { check_every_size(run); }
TEST(PreprocessKernelOnHost, EveryRatio) { check_every_ratio(run); }
TEST(PreprocessKernelOnHost, MixedBatch) { check_mixed_batch(run); }
TEST(PreprocessKernelOnHost, Crops) { check_crops(run); }
TEST(PreprocessKernelOnHost, AgreesWithCpu) { check_against_cpu(run); }

TEST(PreprocessKernelOnHost, ReadsTenBits) {
  Frame frame = make_picture(PixelFormat::kP010, 2, 2, 1);
  const auto fill = [&](std::size_t plane, int value) {
    auto* words = const_cast<std::uint8_t*>(frame.planes[plane].data);
    for (std::int64_t i = 0; i < frame.planes[plane].stride * (plane == 0 ? 2 : 1); i += 2) {
      words[i] = static_cast<std::uint8_t>(value << 6 & 0xff);
      words[i + 1] = static_cast<std::uint8_t>(value >> 2);
    }
  };
  fill(1, 512);
  PreprocessCase one = {{frame}, {}, {}};
  one.input.width = one.input.height = 2;
  struct Luma {
    ColorRange range;
    int value;
    double level;
  };
  for (const Luma& each : {Luma{ColorRange::kLimited, 64, 0},
                           {ColorRange::kLimited, 940, 255},
                           {ColorRange::kLimited, 502, 127.5},
                           {ColorRange::kFull, 0, 0},
                           {ColorRange::kFull, 1023, 255},
                           {ColorRange::kFull, 1, 255.0 / 1023}}) {
    fill(0, each.value);
    one.frames[0].range = each.range;
    for (const float got : run(one)) EXPECT_NEAR(got * 255, each.level, 1e-3) << each.value;
  }
}

class PreprocessErrors : public ::testing::Test {
 protected:
  PreprocessErrors() {
    frame_.device = Device::cuda(0);
    frame_.info.index = 17;
    input_.width = input_.height = 4;
  }
  void expect(ErrorCode code, const std::vector<std::string>& parts) {
    peregrine::testing::expect_error(code, parts, [&] {
      preprocess_on_gpu({&frame_, 1}, input_, out_, {&letterbox_, letterboxes_}, nullptr);
    });
  }

  Frame frame_ = make_picture(PixelFormat::kNv12, 4, 4, 1);
  InputSpec input_;
  // Nothing here is a GPU's: whatever gets past the checks fails in another way.
  float memory_[48] = {};
  TensorView out_{memory_, DType::kFloat32, {1, 3, 4, 4}, Device::cuda(0)};
  Letterbox letterbox_;
  std::size_t letterboxes_ = 1;
};

TEST_F(PreprocessErrors, Frames) {
  frame_.device = Device::cpu();
  expect(ErrorCode::kInvalidArgument, {"frame 17", "nv12 4x4", "on cpu, the output on cuda:0"});
  frame_.device = Device::cuda(1);
  expect(ErrorCode::kInvalidArgument, {"on cuda:1, the output on cuda:0"});
  frame_.device = Device::cuda(0);
  frame_.planes[1].stride = 13;
  expect(ErrorCode::kInvalidArgument, {"plane 1", "stride of 13 bytes", "multiples of 2"});
  frame_.planes[1].stride = -18;
  expect(ErrorCode::kInvalidArgument, {"plane 1", "stride of -18 bytes", "downwards"});
  frame_.planes[1].stride = std::int64_t{1} << 40;
  expect(ErrorCode::kInvalidArgument, {"plane 1", "within 4 GiB"});
  frame_.planes[1] = {};
  expect(ErrorCode::kInvalidArgument, {"plane 1 is empty"});
  frame_.info.width = 0;
  expect(ErrorCode::kInvalidArgument, {"picture of 0x4"});
}

TEST_F(PreprocessErrors, Outputs) {
  letterboxes_ = 0;
  expect(ErrorCode::kInvalidArgument, {"1 frames", "0 letterboxes"});
  letterboxes_ = 1;
  out_.dtype = DType::kInt32;
  expect(ErrorCode::kInvalidShape, {"float32 or float16 [1, 3, 4, 4]", "is int32"});
  out_ = TensorView(memory_, DType::kFloat32, {1, 3, 4, 3}, Device::cuda(0));
  expect(ErrorCode::kInvalidShape, {"[1, 3, 4, 4]", "[1, 3, 4, 3]"});
  out_ = TensorView(memory_, DType::kFloat32, {1, 3, 4, 4}, Device::cpu());
  expect(ErrorCode::kInvalidShape, {"on cpu"});
  out_ = TensorView(memory_, DType::kFloat32, {1, 3, 4, 4}, Device::cuda(0));
  out_.strides[3] = std::int64_t{1} << 30;
  expect(ErrorCode::kInvalidShape, {"less than 2^31 elements", "4 columns are 1073741824"});
}

TEST_F(PreprocessErrors, Crops) {
  const Crop crops[] = {{&frame_, {0, 0, 2, 2}}, {nullptr, {0, 0, 2, 2}}};
  out_ = TensorView(memory_, DType::kFloat32, {2, 3, 4, 4}, Device::cuda(0));
  peregrine::testing::expect_error(ErrorCode::kInvalidArgument, {"crop 1 of 2 has no frame"},
                                   [&] { preprocess_crops_on_gpu(crops, input_, out_, nullptr); });
}

TEST_F(PreprocessErrors, NothingIsFine) {
  out_ = TensorView(nullptr, DType::kFloat32, {0, 3, 4, 4}, Device::cuda(0));
  preprocess_on_gpu({}, input_, out_, {}, nullptr);
  preprocess_crops_on_gpu({}, input_, out_, nullptr);
}

}  // namespace
}  // namespace peregrine::vision
