// SPDX-License-Identifier: Apache-2.0
// What the clips for the GPU decoder hold, by the decoder on the CPU: a GPU test that passes on a
// clip without what it is named after would prove nothing.
#include "video/gpu_clips.h"

#include "video/clips.h"
#include "video/codecs.h"

namespace peregrine::testing {
namespace {

struct ClipCase {
  const char* name;
  int frames;
  int width, height;  // of the first frame, as displayed
  PixelFormat format;
  ColorMatrix matrix;
  ColorRange range;
};

constexpr auto k420 = PixelFormat::kYuv420p;
constexpr auto k601 = ColorMatrix::kBt601;
constexpr auto k709 = ColorMatrix::kBt709;
constexpr auto kTv = ColorRange::kLimited;
constexpr auto kPc = ColorRange::kFull;
const ClipCase kClips[] = {
    {"h264.mp4", 24, 322, 182, k420, k709, kTv},
    {"h264-camera.mp4", 12, 320, 180, k420, k601, kPc},
    {"h264-live.ts", 30, 192, 160, k420, k601, kTv},
    {"hevc-live.ts", 30, 192, 160, k420, k601, kTv},
    {"h264-interlaced.ts", 12, 320, 192, k420, k601, kTv},
    {"h264-rotated.mp4", 8, 180, 320, k420, k601, kTv},
    {"h264-444.mp4", 6, 320, 180, PixelFormat::kYuv444p, k601, kTv},
    {"h264-10bit.mp4", 6, 320, 180, k420, k601, kTv},
    {"h264-variable.mkv", 12, 320, 180, k420, k601, kTv},
    {"h264-grows.h264", 12, 320, 180, k420, k601, kTv},
    {"hevc.mp4", 12, 322, 182, k420, k709, kTv},
    {"hevc-10bit.mp4", 12, 320, 180, k420, ColorMatrix::kBt2020, kTv},
    {"vp8.webm", 8, 320, 180, k420, k601, kTv},
    {"vp9.webm", 8, 322, 182, k420, k601, kTv},
    {"av1.mp4", 8, 320, 180, k420, k601, kTv},
    {"mjpeg.avi", 3, 320, 180, k420, k601, kPc},
    {"mpeg2.ts", 8, 320, 180, k420, k601, kTv},
    {"mpeg4.mp4", 8, 320, 180, k420, k601, kTv},
};

// One test for all: CTest starts a process a test, and each would make the clips again.
TEST(GpuClips, HoldWhatTheirNamesSay) {
  PEREGRINE_GPU_CLIP(folder, "");
  for (const ClipCase& clip : kClips) {
    SCOPED_TRACE(clip.name);
    if (std::string(clip.name) == "av1.mp4" && !video::find_cpu_decoder(AV_CODEC_ID_AV1)) continue;
    const Reading reading = read_all(folder + clip.name);
    EXPECT_EQ(reading.error, "");
    ASSERT_EQ(reading.frames.size(), static_cast<std::size_t>(clip.frames));
    const Frame& first = reading.frames.front();
    EXPECT_EQ(first.info.width, clip.width);
    EXPECT_EQ(first.info.height, clip.height);
    EXPECT_EQ(to_string(first.format), std::string(to_string(clip.format)));
    EXPECT_EQ(first.matrix, clip.matrix);
    EXPECT_EQ(first.range, clip.range);
  }

  const std::vector<std::int64_t> pts = read_all(folder + "h264-variable.mkv").pts();
  EXPECT_NE(pts.at(1) - pts.at(0), pts.at(2) - pts.at(1));
  const Reading grows = read_all(folder + "h264-grows.h264");
  EXPECT_EQ(grows.frames.at(5).info.width, 320);
  EXPECT_EQ(grows.frames.at(6).info.width, 480);
  EXPECT_EQ(grows.frames.at(6).info.height, 270);

  std::uintmax_t bytes = 0;
  for (const auto& each : std::filesystem::directory_iterator(folder)) bytes += each.file_size();
  EXPECT_LT(bytes, 200'000U) << "they travel with every package of GPU tests";
}

}  // namespace
}  // namespace peregrine::testing
