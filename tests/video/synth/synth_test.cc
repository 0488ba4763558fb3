// SPDX-License-Identifier: Apache-2.0
#include "video/synth/synth.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "testing/expect_error.h"

namespace peregrine::synth {
namespace {

SynthOptions small(std::uint64_t seed) {
  SynthOptions options;
  options.seed = seed;
  options.width = 320;
  options.height = 180;
  options.seconds = 6;
  return options;
}

std::vector<std::uint8_t> pixels(const Frame& frame) {
  return {frame.planes[0].data, frame.planes[0].data + frame.planes[0].stride * frame.info.height};
}

TEST(Synth, ASeedIsAWorldWhateverTheOrder) {
  SynthWorld a(small(7)), b(small(7)), other(small(8));
  b.render(90, PixelFormat::kRgb24);
  SynthTruth truth_a, truth_b;
  const auto first = pixels(a.render(31, PixelFormat::kRgb24, &truth_a));
  EXPECT_EQ(first, pixels(b.render(31, PixelFormat::kRgb24, &truth_b)));
  EXPECT_NE(first, pixels(other.render(31, PixelFormat::kRgb24)));
  ASSERT_EQ(truth_a.objects.size(), truth_b.objects.size());
  EXPECT_EQ(truth_a.objects[0].mask.counts, truth_b.objects[0].mask.counts);
}

// Every pixel of a mask is inside its box, the box is tight, masks do not overlap, and counts
// agree.
TEST(Synth, MasksBoxesAndAreasAgree) {
  for (std::uint64_t seed : {1, 2, 3, 4}) {
    SynthWorld world(small(seed));
    SynthTruth truth;
    world.render(60, PixelFormat::kRgb24, &truth);
    std::vector<int> owner(320 * 180, 0);
    for (const SynthObject& object : truth.objects) {
      std::size_t at = 0;
      int x0 = 999, y0 = 999, x1 = -1, y1 = -1;
      std::int64_t area = 0;
      for (std::size_t run = 0; run < object.mask.counts.size(); ++run) {
        for (std::uint32_t i = 0; i < object.mask.counts[run]; ++i, ++at) {
          if (run % 2 == 0) continue;
          EXPECT_EQ(owner[at]++, 0);
          const int x = static_cast<int>(at / 180), y = static_cast<int>(at % 180);
          x0 = std::min(x0, x), x1 = std::max(x1, x + 1), y0 = std::min(y0, y),
          y1 = std::max(y1, y + 1);
          ++area;
        }
      }
      EXPECT_EQ(at, owner.size());
      EXPECT_EQ(area, object.area);
      EXPECT_EQ(object.box, (Box{static_cast<float>(x0), static_cast<float>(y0),
                                 static_cast<float>(x1), static_cast<float>(y1)}));
      EXPECT_LE(object.visible_fraction, 1.02);
    }
  }
}

TEST(Synth, VisibleBodyPointsLieOnTheBody) {
  SynthOptions options = small(3);
  options.width = 960, options.height = 540;
  SynthWorld world(options);
  SynthTruth truth;
  int visible = 0, unmarked_people = 0;
  for (int index : {0, 50, 100, 150}) {
    world.render(index, PixelFormat::kYuv420p, &truth);
    for (const SynthObject& object : truth.objects) {
      EXPECT_EQ(object.has_keypoints, object.class_id == SynthClass::kPerson);
      unmarked_people += object.has_keypoints && object.area < kMinMarkedArea;
      for (const SynthKeypoint& k : object.keypoints) {
        if (k.visibility == Visibility::kUnmarked) continue;
        visible += k.visibility == Visibility::kVisible;
        EXPECT_GE(object.area, kMinMarkedArea);
        EXPECT_GE(k.x, 0);
        EXPECT_LT(k.x, 960);
        EXPECT_GE(k.x, object.box.x1 - 1);
        EXPECT_LE(k.x, object.box.x2 + 1);
        EXPECT_GE(k.y, object.box.y1 - 1);
        EXPECT_LE(k.y, object.box.y2 + 1);
      }
    }
  }
  EXPECT_GT(visible, 50);
  EXPECT_GT(unmarked_people, 0) << "nobody small to be left unmarked";
}

// The nearer of two objects is the one that is seen, and depth is that of who is seen.
TEST(Synth, DepthIsThatOfWhoIsSeen) {
  SynthWorld world(small(2));
  SynthTruth truth;
  world.render(45, PixelFormat::kRgb24, &truth, {.masks = true, .depth = true});
  ASSERT_EQ(truth.depth.size(), 320u * 180u);
  for (const SynthObject& object : truth.objects) {
    const std::size_t first = object.mask.counts[0];
    const std::size_t x = first / 180, y = first % 180;
    EXPECT_FLOAT_EQ(truth.depth[y * 320 + x], static_cast<float>(object.distance));
  }
  for (float depth : truth.depth) EXPECT_GT(depth, 0.5f);
}

TEST(Synth, ActorsKeepTheirIdentityAndMoveLittleFromFrameToFrame) {
  SynthWorld world(small(5));
  SynthTruth before, now;
  world.render(40, PixelFormat::kRgb24, &before);
  world.render(41, PixelFormat::kRgb24, &now);
  int kept = 0;
  for (const SynthObject& a : before.objects) {
    for (const SynthObject& b : now.objects) {
      if (a.id != b.id) continue;
      ++kept;
      EXPECT_EQ(a.class_id, b.class_id);
      const bool comparable = !a.ignore && !b.ignore && a.box.width() > 20;
      if (comparable) {
        EXPECT_GT(iou(a.box, b.box), 0.4f);
      }
    }
  }
  EXPECT_GE(kept, static_cast<int>(before.objects.size()) - 2);
}

// Luma and chroma are BT.709 limited range of the same picture, 4:2:0.
TEST(Synth, YuvIsTheSamePicture) {
  SynthOptions options = small(4);
  options.width = 321;  // odd sides round chroma up
  options.height = 181;
  SynthWorld world(options);
  const Frame rgb = world.render(10, PixelFormat::kRgb24),
              yuv = world.render(10, PixelFormat::kYuv420p);
  ASSERT_EQ(yuv.planes[1].stride, 161);
  for (int y = 0; y < 181; y += 7) {
    for (int x = 0; x < 321; x += 5) {
      const std::uint8_t* p = rgb.planes[0].data + y * rgb.planes[0].stride + 3 * x;
      const double luma = 16 + 219.0 / 255 * (0.2126 * p[0] + 0.7152 * p[1] + 0.0722 * p[2]);
      EXPECT_NEAR(yuv.planes[0].data[y * yuv.planes[0].stride + x], luma, 2.0);
    }
  }
}

TEST(Synth, AllKindsAppear) {
  std::set<SynthClass> seen;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SynthWorld world(small(seed));
    SynthTruth truth;
    for (int index = 0; index < 180; index += 45) {
      world.render(index, PixelFormat::kRgb24, &truth, {.masks = false});
      for (const SynthObject& object : truth.objects) seen.insert(object.class_id);
    }
  }
  EXPECT_EQ(seen.size(), 5u);
}

TEST(Synth, OptionsOutOfRangeSaySo) {
  const auto refused = [](const std::string& text, const std::string& part) {
    testing::expect_error(ErrorCode::kUsage, {part}, [&] { parse_synth_options(text); });
  };
  refused("size=32x32", "64 to 8192");
  refused("size=100", "WIDTHxHEIGHT");
  refused("size=9000x9000", "64 to 8192");
  refused("fps=0", "1 to 240");
  refused("fps=1000", "1 to 240");
  refused("fps=30/0", "1 to 240");
  refused("seconds=0", "above 0");
  refused("seconds=nan", "above 0");
  refused("time=noon", "day, dusk, night");
  refused("crowd=9", "0 to 4");
  refused("seed=-1", "'seed=-1' is not a number");
  refused("colour=red", "'colour' is unknown");
  refused("seed", "KEY=VALUE");
  const SynthOptions options =
      parse_synth_options("seed=7,size=1280x720,fps=30000/1001,seconds=20");
  EXPECT_EQ(options.frame_rate, (Rational{30000, 1001}));
  EXPECT_EQ(options.frame_count(), 599);
}

TEST(Synth, FramesOutsideOfTheClipAreRefused) {
  SynthWorld world(small(1));
  testing::expect_error(ErrorCode::kInvalidArgument, {"frame 180", "0 to 179"},
                        [&] { world.render(180, PixelFormat::kRgb24); });
  testing::expect_error(ErrorCode::kInvalidArgument, {"RGB24 or YUV420P"},
                        [&] { world.render(0, PixelFormat::kNv12); });
}

TEST(SynthSource, HonoursWhatSourcesAreAskedFor) {
  video::SourceOptions options;
  options.start_seconds = 1;
  options.end_seconds = 2;
  options.every = 10;
  const auto source = make_synth_source("synth:seed=3,size=128x96,fps=30,seconds=4", options);
  EXPECT_EQ(source->info().frame_count, 120);
  std::vector<std::int64_t> indices;
  while (true) {
    const auto event = source->read();
    const Frame* frame = std::get_if<Frame>(&event);
    if (frame == nullptr) break;
    indices.push_back(frame->info.index);
    EXPECT_DOUBLE_EQ(frame->info.seconds(), static_cast<double>(frame->info.index) / 30);
  }
  EXPECT_EQ(indices, (std::vector<std::int64_t>{30, 40, 50}));
}

TEST(SynthSource, InterruptEndsIt) {
  const auto source = make_synth_source("synth:size=128x96", {});
  source->interrupt();
  EXPECT_TRUE(std::holds_alternative<video::EndOfStream>(source->read()));
}

}  // namespace
}  // namespace peregrine::synth
