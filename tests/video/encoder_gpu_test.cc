// SPDX-License-Identifier: Apache-2.0
// NVENC with surfaces of the GPU: whole videos through libav, read back by the CPU's decoder. The
// exact ones go through the NVENC of fake_nvenc_library.cc.
#include <cmath>
#include <random>

#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/ledger.h"
#include "engine/cuda/gpu.h"
#include "video/clips.h"
#include "video/encoder.h"
#include "video/fake_nvenc.h"
#include "video/host_planes.h"
#include "vision/gpu_frames.h"

namespace peregrine::testing {
namespace {

using video::EncoderOptions;
using video::VideoEncoder;

constexpr int kFrames = 24;  // more than there are surfaces, in libav and on the way there

/// Host pictures of planar 4:2:0 or NV12 whose samples are `value(plane, x, y)`, Y, U and V.
template <typename Value>
Frame picture(PixelFormat format, int width, int height, int index, Value value) {
  const int columns = (width + 1) / 2, rows = (height + 1) / 2;
  auto bytes = std::make_shared<std::vector<std::uint8_t>>();
  bytes->reserve(static_cast<std::size_t>(width * height + 2 * columns * rows));
  Frame frame;
  frame.format = format;
  frame.info.width = width;
  frame.info.height = height;
  frame.info.pts = 100 + index * index;
  frame.info.time_base = {1, 1000};
  const std::uint8_t* base = bytes->data();
  const auto plane = [&](std::size_t at, int across, int down, int first, int step) {
    frame.planes[at] = {base + bytes->size(), across * step};
    for (int y = 0; y < down; ++y) {
      for (int i = 0; i < across * step; ++i) {
        bytes->push_back(static_cast<std::uint8_t>(value(first + i % step, i / step, y)));
      }
    }
  };
  plane(0, width, height, 0, 1);
  if (format == PixelFormat::kNv12) {
    plane(1, columns, rows, 1, 2);
  } else {
    plane(1, columns, rows, 1, 1);
    plane(2, columns, rows, 2, 1);
  }
  frame.storage = bytes;
  return frame;
}

Frame noise(PixelFormat format, int width, int height, int index) {
  std::mt19937 generator(static_cast<unsigned>(index));
  return picture(format, width, height, index, [&](int, int, int) { return generator() % 256; });
}

Frame slopes(int width, int height, int index) {
  return picture(PixelFormat::kNv12, width, height, index, [&](int plane, int x, int y) {
    return plane == 0 ? 40 + (x + y + 4 * index) % 400 * 180 / 400 : 100 + plane * 20;
  });
}

Frame on_gpu(const Frame& host) {
  const cuda::Stream stream = cuda::make_stream();
  Frame frame = vision::on_gpu(host, Device::cuda(0), stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  return frame;
}

EncoderOptions options_for(int width, int height) {
  EncoderOptions options;
  options.width = width;
  options.height = height;
  options.device = Device::cuda(0);
  return options;
}

/// As an encoder sees an odd picture: the last column and row of luma twice.
HostPlanes grown_to_even(HostPlanes planes) {
  std::vector<std::uint8_t>& luma = planes.samples[0];
  if (planes.width % 2 != 0) {
    std::vector<std::uint8_t> wider;
    for (int y = 0; y < planes.height; ++y) {
      const auto row = luma.begin() + y * planes.width;
      wider.insert(wider.end(), row, row + planes.width);
      wider.push_back(row[planes.width - 1]);
    }
    luma = std::move(wider);
    ++planes.width;
  }
  if (planes.height % 2 != 0) {
    const std::vector<std::uint8_t> last(luma.end() - planes.width, luma.end());
    luma.insert(luma.end(), last.begin(), last.end());
    ++planes.height;
  }
  return planes;
}

class NvencOf : public ::testing::TestWithParam<std::pair<int, int>> {};

TEST_P(NvencOf, TakesSurfacesAsTheyAre) {
  PEREGRINE_NEEDS_GPU();
  const FakeNvenc nvenc;
  const auto [width, height] = GetParam();
  const TemporaryFolder folder;
  const std::string path = folder / "out.mp4";
  std::vector<Frame> pictures;
  for (int i = 0; i < kFrames; ++i) pictures.push_back(noise(PixelFormat::kNv12, width, height, i));
  VideoEncoder encoder(path, options_for(width, height));
  EXPECT_EQ(encoder.codec(), "h264_nvenc");
  EXPECT_EQ(encoder.device(), Device::cuda(0));
  for (const Frame& each : pictures) {
    const Frame frame = on_gpu(each);
    const auto before = Ledger::snapshot();
    encoder.write(frame);
    EXPECT_EQ(Ledger::difference(before, Ledger::snapshot()).size(), 0u) << "nothing goes down";
  }
  encoder.finish();
  const Reading reading = read_all(path);
  EXPECT_EQ(reading.error, "");
  ASSERT_EQ(reading.frames.size(), pictures.size());
  for (int i = 0; i < kFrames; ++i) {
    const Frame& got = reading.frames[static_cast<std::size_t>(i)];
    const HostPlanes wanted = host_planes(pictures[static_cast<std::size_t>(i)]);
    EXPECT_EQ(difference(host_planes(got), grown_to_even(wanted), 0), "") << "frame " << i;
    EXPECT_EQ(got.info.pts, i * i);  // the first is time 0
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, NvencOf,
                         ::testing::Values(std::pair{64, 48}, std::pair{322, 182},
                                           std::pair{33, 17}, std::pair{1920, 1080}),
                         [](const auto& each) {
                           return fmt::format("{}x{}", each.param.first, each.param.second);
                         });

// A stream whose pictures change their size is fitted on the CPU; then its frames go up again.
TEST(Nvenc, TakesHostPicturesToo) {
  PEREGRINE_NEEDS_GPU();
  const FakeNvenc nvenc;
  const TemporaryFolder folder;
  const std::string path = folder / "out.mp4";
  VideoEncoder encoder(path, options_for(50, 34));
  std::vector<Frame> pictures;
  for (int i = 0; i < kFrames; ++i) {
    const auto format = i % 3 == 1 ? PixelFormat::kYuv420p : PixelFormat::kNv12;
    pictures.push_back(noise(format, 50, 34, i));
    const auto before = Ledger::snapshot();
    encoder.write(i % 3 == 0 ? on_gpu(pictures.back()) : pictures.back());
    const auto crossed = Ledger::difference(before, Ledger::snapshot());
    ASSERT_EQ(crossed.size(), 1u);
    EXPECT_EQ(crossed[0].bytes, 50u * 34 * 3 / 2);
    EXPECT_EQ(crossed[0].reason,
              i % 3 == 0 ? "pictures decoded on the CPU" : "pictures for NVENC, fitted on the CPU");
  }
  encoder.finish();
  const Reading reading = read_all(path);
  ASSERT_EQ(reading.frames.size(), pictures.size());
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    EXPECT_EQ(difference(host_planes(reading.frames[i]), host_planes(pictures[i]), 0), "")
        << "frame " << i;
  }
}

TEST(Nvenc, RefusesWhatItDoesNotRead) {
  PEREGRINE_NEEDS_GPU();
  const FakeNvenc nvenc;
  const TemporaryFolder folder;
  VideoEncoder encoder(folder / "out.mp4", options_for(64, 48));
  Frame frame = on_gpu(noise(PixelFormat::kNv12, 64, 48, 0));
  frame.format = PixelFormat::kP010;
  EXPECT_ERROR(encoder.write(frame), ErrorCode::kInvalidArgument,
               "takes 64x48 pictures on the CPU or NV12 on cuda:0, not 64x48 p010 on cuda:0");
  EXPECT_ERROR(encoder.write(on_gpu(noise(PixelFormat::kNv12, 48, 64, 0))),
               ErrorCode::kInvalidArgument, "not 48x64 nv12 on cuda:0");
}

// The driver's own NVENC where the chip has one; H100 and H200 have none.
TEST(Nvenc, OfThisMachineOrElseTheCpu) {
  PEREGRINE_NEEDS_GPU();
  const TemporaryFolder folder;
  const std::string path = folder / "out.mp4";
  VideoEncoder encoder(path, options_for(320, 240));
  std::printf("annotated video is encoded by %s\n", encoder.codec().c_str());
  const bool here = !encoder.device().is_cpu();
  EXPECT_EQ(here, encoder.codec() == "h264_nvenc");
  if (!here) {
    EXPECT_ERROR(encoder.write(on_gpu(slopes(320, 240, 0))), ErrorCode::kInvalidArgument,
                 "takes 320x240 pictures on the CPU, not 320x240 nv12 on cuda:0");
  }
  for (int i = 0; i < kFrames; ++i) {
    const Frame host = slopes(320, 240, i);
    encoder.write(here ? on_gpu(host) : host);
  }
  encoder.finish();
  const Reading reading = read_all(path);
  ASSERT_EQ(reading.frames.size(), std::size_t{kFrames});
  for (int i = 0; i < kFrames; ++i) {
    EXPECT_EQ(difference(host_planes(reading.frames[static_cast<std::size_t>(i)]),
                         host_planes(slopes(320, 240, i)), 24),
              "")
        << "frame " << i;
  }
}

}  // namespace
}  // namespace peregrine::testing
