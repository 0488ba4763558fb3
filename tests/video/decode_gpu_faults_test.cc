// SPDX-License-Identifier: Apache-2.0
// What NVDEC cannot do, and streams that end otherwise than they should.
#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "core/cuda/memory.h"
#include "engine/cuda/gpu.h"
#include "testing/expect_error.h"
#include "video/clips.h"
#include "video/gpu_clips.h"
#include "video/host_planes.h"

namespace peregrine::testing {
namespace {

// Opens, reads, and says with what error that ended; "" for none.
std::string ending(const std::string& path, const video::SourceOptions& options) {
  try {
    const Reading reading = read_all(path, options);
    return reading.error.empty() ? "" : to_string(reading.code) + (": " + reading.error);
  } catch (const Error& error) {
    return to_string(error.code()) + (": " + std::string(error.what()));
  }
}

struct Unsupported {
  const char* name;
  const char* profile;
};

class BeyondNvdec : public ::testing::TestWithParam<Unsupported> {};

TEST_P(BeyondNvdec, IsRefusedInStrictMode) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(path, GetParam().name);
  expect_error(ErrorCode::kGpu,
               {"strict GPU: '" + path + "' is H.264", GetParam().profile, "320x180",
                "which would be decoded on the CPU", "NVDEC of this GPU does not take it",
                "Re-encode it as H.264 or HEVC in 4:2:0, or drop --strict-gpu"},
               [&] { open(path, on_gpu(true)); });
}

TEST_P(BeyondNvdec, IsDecodedOnTheCpuOtherwise) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(path, GetParam().name);
  const Reading cpu = read_all(path), either = read_all(path, on_gpu(false));
  EXPECT_EQ(either.error, "");
  EXPECT_EQ(either.corrupt, 0);
  EXPECT_EQ(either.pts(), cpu.pts());
  ASSERT_EQ(either.frames.size(), cpu.frames.size());
  for (std::size_t i = 0; i < cpu.frames.size(); ++i) {
    EXPECT_TRUE(either.frames[i].device.is_cpu());
    EXPECT_EQ(difference(host_planes(either.frames[i]), host_planes(cpu.frames[i]), 0), "") << i;
  }
}

// No NVDEC of the data centre's Ampere, Ada and Hopper takes these.
INSTANTIATE_TEST_SUITE_P(H264, BeyondNvdec,
                         ::testing::Values(Unsupported{"h264-444.mp4", "High 4:4:4 Predictive"},
                                           Unsupported{"h264-10bit.mp4", "High 10"}),
                         [](const auto& test) { return test.index == 0 ? "Yuv444" : "TenBits"; });

TEST(GpuDecodeFaults, PicturesAreTheCpus) {
  PEREGRINE_NEEDS_GPU();
  const TemporaryFolder folder;
  const std::string path = folder / "grey.ppm";
  write_file(path, "P6\n8 8\n255\n" + std::string(8 * 8 * 3, '\x80'));
  expect_error(ErrorCode::kGpu, {"strict GPU: '" + path, "holds single pictures"},
               [&] { open(path, on_gpu(true)); });
  const Reading reading = read_all(path, on_gpu(false));
  ASSERT_EQ(reading.frames.size(), 1U);
  EXPECT_TRUE(reading.frames[0].device.is_cpu());
}

TEST(GpuDecodeFaults, AGpuThatIsNotThere) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(path, "h264.mp4");
  video::SourceOptions options = on_gpu(true);
  options.gpu.device = 63;
  expect_error(ErrorCode::kGpu, {"There is no GPU of that number"}, [&] { open(path, options); });
}

TEST(GpuDecodeFaults, AFileCutShortEndsAsOnTheCpu) {
  PEREGRINE_NEEDS_GPU();
  const TemporaryFolder folder;
  for (const char* name : {"h264-variable.mkv", "vp9.webm", "mjpeg.avi", "hevc.mp4"}) {
    PEREGRINE_GPU_CLIP(whole, name);
    const std::string path = folder / name;
    const std::string bytes = contents(whole);
    write_file(path, bytes.substr(0, bytes.size() * 6 / 10));
    SCOPED_TRACE(name);
    const std::string expected = ending(path, {});
    EXPECT_NE(expected, "");
    EXPECT_EQ(ending(path, on_gpu(true)), expected);
    if (expected.find("is truncated") == std::string::npos) continue;
    EXPECT_EQ(read_all(path, on_gpu(true)).pts(), read_all(path).pts());
  }
}

// What the two decoders make of damaged slices is theirs; that they get over them is not.
TEST(GpuDecodeFaults, DamageEndsAsOnTheCpu) {
  PEREGRINE_NEEDS_GPU();
  const TemporaryFolder folder;
  for (const char* name : {"h264-interlaced.ts", "h264-variable.mkv", "mpeg2.ts", "vp9.webm"}) {
    PEREGRINE_GPU_CLIP(whole, name);
    for (unsigned seed = 1; seed <= 3; ++seed) {
      std::string bytes = contents(whole);
      std::mt19937 random(seed);
      // Between a third and two thirds lie pictures alone.
      for (int i = 0; i < 12; ++i) {
        const std::size_t at = bytes.size() / 3 + random() % (bytes.size() / 3);
        bytes[at] = static_cast<char>(random());
      }
      const std::string path = folder / (std::to_string(seed) + name);
      write_file(path, bytes);
      SCOPED_TRACE(path);
      EXPECT_EQ(ending(path, on_gpu(false)), ending(path, {}));
    }
  }
}

TEST(GpuDecodeFaults, AnInterruptEndsTheStream) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(path, "h264.mp4");
  const auto source = open(path, on_gpu(true));
  const video::SourceEvent first = source->read();
  ASSERT_TRUE(std::holds_alternative<Frame>(first));
  std::thread([&] { source->interrupt(); }).join();
  EXPECT_TRUE(std::holds_alternative<video::EndOfStream>(source->read()));
  EXPECT_TRUE(std::holds_alternative<video::EndOfStream>(source->read()));
}

TEST(GpuDecodeFaults, AFullGpuNamesTheStreamAndWhatIsMissing) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(path, "h264.mp4");
  cuda::set_memory_limit(0, 1);
  for (int i = 0; i < 3; ++i) {
    expect_error(ErrorCode::kOutOfMemory,
                 {"'" + path + "' needs", "GiB more than is free on cuda:0", "--vram-limit",
                  "0.00 GiB of that promised to other streams"},
                 [&] { open(path, on_gpu(true)); });
    EXPECT_NE(ending(path, on_gpu(false)), "") << "memory is no reason to decode on the CPU";
  }
  cuda::set_memory_limit(0, 0);
  EXPECT_EQ(ending(path, on_gpu(true)), "");
}

}  // namespace
}  // namespace peregrine::testing
