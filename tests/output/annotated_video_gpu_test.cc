// SPDX-License-Identifier: Apache-2.0
// A video that is drawn and encoded on the GPU, from the sink to the file. The NVENC is that of
// tests/video/fake_nvenc_library.cc, which loses nothing.
#include <gtest/gtest.h>

#include "core/ledger.h"
#include "engine/cuda/gpu.h"
#include "output/overlay.h"
#include "output/sink.h"
#include "overlay_cases.h"
#include "video/clips.h"
#include "video/fake_nvenc.h"
#include "video/host_planes.h"
#include "vision/device_pictures.h"

namespace peregrine::output {
namespace {

using peregrine::testing::difference;
using peregrine::testing::FakeNvenc;
using peregrine::testing::host_planes;
using peregrine::testing::read_all;
using peregrine::testing::Reading;
using peregrine::testing::TemporaryFolder;
using vision::on_device;

// People on pictures of one size.
std::vector<OverlayCase> scenes() {
  std::vector<OverlayCase> all;
  for (int i = 0; i < 12; ++i) {
    all.push_back(crowd(i));
    Frame& frame = all.back().picture;
    frame.info.pts = i;
    frame.info.time_base = {1, 25};
    frame.info.stream = 0;
    all.back().result.frame = frame.info;
  }
  return all;
}

StreamInfo stream_of(const OverlayCase& each) {
  return {.stream = 0,
          .source = "test",
          .width = each.picture.info.width,
          .height = each.picture.info.height,
          .frame_rate = {25, 1},
          .time_base = {1, 25}};
}

TEST(AnnotatedVideoOnGpu, NoPictureComesDownForNvenc) {
  PEREGRINE_NEEDS_GPU();
  const FakeNvenc nvenc;
  const TemporaryFolder folder;
  const std::string path = folder / "a.mp4";
  const auto sink = make_annotated_video_sink(path, {overlay_labels(), 0, make_gpu_annotator});
  const std::vector<OverlayCase> all = scenes();
  sink->open_stream(stream_of(all[0]));
  std::vector<Frame> frames;
  for (const OverlayCase& each : all) frames.push_back(on_device(each.picture));
  const auto before = Ledger::snapshot();
  for (std::size_t i = 0; i < all.size(); ++i) sink->write(all[i].result, frames[i]);
  for (const LedgerEntry& each : Ledger::difference(before, Ledger::snapshot())) {
    EXPECT_EQ(each.direction, Crossing::kUp) << each.stage << ": " << each.reason;
    EXPECT_EQ(each.stage, "overlay");
  }
  sink->close_stream(0);
  sink->finish();

  OverlayRenderer renderer(overlay_labels());
  const Reading reading = read_all(path);
  EXPECT_EQ(reading.error, "");
  ASSERT_EQ(reading.frames.size(), all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Frame wanted = renderer.render(all[i].picture, all[i].result);
    EXPECT_EQ(difference(host_planes(reading.frames[i]), host_planes(wanted), 0), "")
        << "frame " << i;
  }
}

// A camera that changes its resolution: the picture is fitted on the CPU and goes up again.
TEST(AnnotatedVideoOnGpu, AnotherSizeIsFittedAndTheNextIsAsBefore) {
  PEREGRINE_NEEDS_GPU();
  const FakeNvenc nvenc;
  const TemporaryFolder folder;
  const std::string path = folder / "a.mp4";
  const auto sink = make_annotated_video_sink(path, {overlay_labels(), 0, make_gpu_annotator});
  std::vector<OverlayCase> all = scenes();
  all.resize(3);
  sink->open_stream(stream_of(all[0]));
  const OverlayCase other = overlay_cases()[0];
  ASSERT_NE(other.picture.info.width, all[0].picture.info.width);
  Frame small = other.picture;
  small.info.pts = 1;
  small.info.time_base = {1, 25};
  FrameResult seen = other.result;
  seen.frame = small.info;
  sink->write(all[0].result, on_device(all[0].picture));
  const Frame there = on_device(small);
  const auto before = Ledger::snapshot();
  sink->write(seen, there);
  bool up = false, down = false;
  for (const LedgerEntry& each : Ledger::difference(before, Ledger::snapshot())) {
    down = down || each.reason == "pictures for drawing and encoding";
    up = up || each.reason == "pictures for NVENC, fitted on the CPU";
  }
  EXPECT_TRUE(down && up);
  sink->write(all[2].result, on_device(all[2].picture));
  sink->close_stream(0);
  sink->finish();
  const Reading reading = read_all(path);
  ASSERT_EQ(reading.frames.size(), 3u);
  EXPECT_EQ(reading.frames[1].info.width, all[0].picture.info.width);
  OverlayRenderer renderer(overlay_labels());
  const Frame wanted = renderer.render(all[2].picture, all[2].result);
  EXPECT_EQ(difference(host_planes(reading.frames[2]), host_planes(wanted), 0), "");
}

}  // namespace
}  // namespace peregrine::output
