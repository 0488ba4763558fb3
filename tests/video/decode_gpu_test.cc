// SPDX-License-Identifier: Apache-2.0
// What NVDEC leaves in GPU memory, beside what the CPU's decoder makes of the same clip.
#include <thread>

extern "C" {
#include <libavutil/md5.h>
}

#include <fmt/format.h>

#include "core/cuda/memory.h"
#include "engine/cuda/gpu.h"
#include "video/clips.h"
#include "video/frame_maker.h"
#include "video/gpu_clips.h"
#include "video/host_planes.h"
#include "video/media_reader.h"

namespace peregrine::testing {
namespace {

struct Clip {
  const char* name;
  int tolerance;  // of a sample
};

// What every NVDEC that the engine runs on decodes. H.264, HEVC, VP8 and VP9 are exact by
// definition; 10 bits are rounded by one and dithered by the other; MPEG and MJPEG leave the
// rounding of their transform open, and errors add up from picture to picture. (Seen on an H100: 2
// of 255 for 10 bits, 4 for MPEG-2.)
constexpr Clip kClips[] = {
    {"h264.mp4", 0},     {"h264-camera.mp4", 0},  {"h264-interlaced.ts", 0}, {"h264-live.ts", 0},
    {"hevc-live.ts", 0}, {"h264-rotated.mp4", 0}, {"h264-variable.mkv", 0},  {"h264-grows.h264", 0},
    {"hevc.mp4", 0},     {"hevc-10bit.mp4", 2},   {"vp8.webm", 0},           {"vp9.webm", 0},
    {"mjpeg.avi", 3},    {"mpeg2.ts", 6},         {"mpeg4.mp4", 3},
};

void expect_same_frame(const Frame& gpu, const Frame& cpu, int tolerance) {
  EXPECT_EQ(gpu.device, Device::cuda(0));
  EXPECT_EQ(gpu.info.index, cpu.info.index);
  EXPECT_EQ(gpu.info.pts, cpu.info.pts);
  EXPECT_EQ(gpu.info.time_base, cpu.info.time_base);
  EXPECT_EQ(gpu.matrix, cpu.matrix);
  EXPECT_EQ(gpu.range, cpu.range);
  EXPECT_EQ(difference(host_planes(gpu), host_planes(cpu), tolerance), "");
}

void expect_same(const Reading& gpu, const Reading& cpu, int tolerance) {
  EXPECT_EQ(gpu.error, cpu.error);
  ASSERT_EQ(gpu.frames.size(), cpu.frames.size());
  for (std::size_t i = 0; i < gpu.frames.size(); ++i) {
    SCOPED_TRACE(fmt::format("frame {}", i));
    expect_same_frame(gpu.frames[i], cpu.frames[i], tolerance);
    if (::testing::Test::HasFailure()) return;  // the next would say the same
  }
}

class GpuClip : public ::testing::TestWithParam<Clip> {};

// Frames are let go of one by one: surfaces are used in place.
TEST_P(GpuClip, FramesEqualTheCpus) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(path, GetParam().name);
  const Reading cpu = read_all(path);
  ASSERT_EQ(cpu.error, "");
  const auto source = open(path, on_gpu());
  EXPECT_EQ(source->info().width, cpu.frames.at(0).info.width);
  EXPECT_EQ(source->info().height, cpu.frames.at(0).info.height);
  for (const Frame& expected : cpu.frames) {
    SCOPED_TRACE(fmt::format("frame {}", expected.info.index));
    const video::SourceEvent event = source->read();
    ASSERT_TRUE(std::holds_alternative<Frame>(event));
    expect_same_frame(std::get<Frame>(event), expected, GetParam().tolerance);
    if (HasFailure()) return;
  }
  EXPECT_TRUE(std::holds_alternative<video::EndOfStream>(source->read()));
  EXPECT_EQ(source->corrupt_packets(), 0);
}

// All of them are held, more than the decoder has surfaces for, and outlive it.
TEST_P(GpuClip, FramesHeldAtOnceStayRight) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(path, GetParam().name);
  for (const int held : {0, 6}) {
    SCOPED_TRACE(fmt::format("{} frames planned for", held));
    video::SourceOptions options = on_gpu();
    options.gpu.held_frames = held;
    expect_same(read_all(path, options), read_all(path), GetParam().tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GpuClip, ::testing::ValuesIn(kClips), [](const auto& test) {
  std::string name = test.param.name;
  for (char& letter : name)
    letter = std::isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
  return name;
});

TEST(GpuDecode, SurfacesAreUsedWhereTheyLie) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(path, "h264.mp4");
  cuda::trim_pool(0);  // a copy would need an allocation
  const std::uint64_t before = cuda::memory_stats(0).device_allocations;
  const auto source = open(path, on_gpu());
  while (std::holds_alternative<Frame>(source->read())) {
  }
  EXPECT_EQ(cuda::memory_stats(0).device_allocations, before) << "no picture was copied";
}

TEST(GpuDecode, SelectionsStartAndSkipAlike) {
  PEREGRINE_NEEDS_GPU();
  for (const char* name : {"h264.mp4", "h264-variable.mkv", "hevc.mp4"}) {
    PEREGRINE_GPU_CLIP(path, name);
    video::SourceOptions cpu, gpu = on_gpu();
    cpu.start_seconds = gpu.start_seconds = 0.2;
    cpu.every = gpu.every = 3;
    SCOPED_TRACE(name);
    const Reading expected = read_all(path, cpu);
    EXPECT_FALSE(expected.frames.empty());
    expect_same(read_all(path, gpu), expected, 0);
  }
}

TEST(GpuDecode, RoundsFollowEachOtherAsOnTheCpu) {
  PEREGRINE_NEEDS_GPU();
  for (const char* name : {"h264.mp4", "hevc.mp4", "mpeg2.ts"}) {
    PEREGRINE_GPU_CLIP(path, name);
    video::SourceOptions cpu, gpu = on_gpu();
    cpu.loop = gpu.loop = 3;
    SCOPED_TRACE(name);
    const Reading expected = read_all(path, cpu);
    EXPECT_EQ(expected.frames.size(), 3 * read_all(path).frames.size());
    expect_same(read_all(path, gpu), expected, std::string(name) == "mpeg2.ts" ? 6 : 0);
  }
}

// NVDEC's own decoder, not only libav's: the pool of surfaces stays the same.
TEST(GpuDecode, AnotherConnectionGoesOnWithTheDecoder) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(folder, "");
  for (const char* name : {"h264-live.ts", "hevc-live.ts"}) {
    SCOPED_TRACE(name);
    const Reading cpu = read_all(folder + name);
    video::Watch watch;
    std::unique_ptr<video::StreamDecoder> kept;
    const void* surfaces = nullptr;
    for (const std::size_t frames : {7U, 13U, 30U}) {  // until the connection is lost
      video::MediaReader reader("clip", folder + name, video::Access::kLive, on_gpu(), watch,
                                &kept);
      video::FrameMaker maker(reader);
      for (std::size_t i = 0; i < frames; ++i) {
        video::AvFrame picture = reader.read();
        ASSERT_NE(picture, nullptr) << i;
        if (surfaces == nullptr) surfaces = picture->hw_frames_ctx->data;
        EXPECT_EQ(picture->hw_frames_ctx->data, surfaces) << i;
        const Frame frame = maker.make(std::move(picture));
        ASSERT_EQ(difference(host_planes(frame), host_planes(cpu.frames.at(i)), 0), "") << i;
      }
      kept = reader.give_up_decoder();
      ASSERT_NE(kept, nullptr);
    }
  }
}

TEST(GpuDecode, Av1IsExactOrRefusedByName) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(path, "av1.mp4");
  std::unique_ptr<video::Source> source;
  try {
    source = open(path, on_gpu());
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kGpu) << error.what();
    for (const char* part : {"strict GPU: '", "AV1", "320x180", "Re-encode it as H.264 or HEVC"}) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
    return;
  }
  std::string md5s;
  for (const Frame& frame : read_all(*source).frames) {
    const HostPlanes planes = host_planes(frame);
    std::uint8_t digest[16];
    av_md5_sum(digest, planes.samples[0].data(), planes.samples[0].size());
    md5s += fmt::format("{:02x}\n", fmt::join(digest, ""));
  }
  EXPECT_EQ(md5s, contents(path + ".luma.md5"));
}

TEST(GpuDecode, SixteenStreamsSideBySide) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(folder, "");
  std::vector<std::thread> threads;
  std::atomic<int> whole{0};
  for (std::size_t i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      const Clip& clip = kClips[i % std::size(kClips)];
      const Reading cpu = read_all(folder + clip.name);
      const Reading gpu = read_all(folder + clip.name, on_gpu());
      SCOPED_TRACE(clip.name);
      EXPECT_EQ(gpu.error, cpu.error);
      EXPECT_EQ(gpu.frames.size(), cpu.frames.size());
      for (std::size_t f = 0; f < std::min(gpu.frames.size(), cpu.frames.size()); ++f) {
        const std::string apart =
            difference(host_planes(gpu.frames[f]), host_planes(cpu.frames[f]), clip.tolerance);
        EXPECT_EQ(apart, "") << "frame " << f;
        if (!apart.empty()) return;
      }
      ++whole;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(whole, 16);
}

// Turned pictures are copies; those that nobody looks at give their memory back at once.
TEST(GpuDecode, TurnedPicturesOfManyStreamsKeepTheirMemoryApart) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(path, "h264-rotated.mp4");
  const Reading cpu = read_all(path);
  std::vector<HostPlanes> expected;
  for (const Frame& frame : cpu.frames) expected.push_back(host_planes(frame));
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&, i] {
      const auto source = open(path, on_gpu());
      for (std::size_t f = 0; f < expected.size(); ++f) {
        const video::SourceEvent event = source->read();
        ASSERT_TRUE(std::holds_alternative<Frame>(event));
        if ((f + static_cast<std::size_t>(i)) % 2 == 0) continue;
        EXPECT_EQ(difference(host_planes(std::get<Frame>(event)), expected[f], 0), "");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(GpuDecode, MemoryReturnsWhenTheLastFrameIsGone) {
  PEREGRINE_NEEDS_GPU();
  PEREGRINE_GPU_CLIP(folder, "");
  const auto use = [&] {
    std::vector<Reading> all;
    for (const Clip& clip : kClips) all.push_back(read_all(folder + clip.name, on_gpu()));
  };
  const auto used_bytes = [] {
    CUDA_CHECK(cudaDeviceSynchronize());
    cuda::trim_pool(0);
    std::size_t free = 0, total = 0;
    CUDA_CHECK(cudaMemGetInfo(&free, &total));
    return static_cast<double>(total - free);
  };
  use();  // the driver keeps some for itself the first time
  const double before = used_bytes();
  const std::size_t in_use = cuda::memory_stats(0).in_use;
  use();
  use();
  constexpr double kSlack = 4 << 20;
  EXPECT_LE(used_bytes(), before + kSlack);
  EXPECT_EQ(cuda::memory_stats(0).in_use, in_use);
}

}  // namespace
}  // namespace peregrine::testing
