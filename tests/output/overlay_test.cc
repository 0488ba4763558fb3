// SPDX-License-Identifier: Apache-2.0
#include "output/overlay.h"

#include <cairo.h>

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "output/png.h"
#include "peregrine/error.h"
#include "test_picture.h"
#include "video/clips.h"

namespace peregrine::output {
namespace {

using peregrine::testing::TemporaryFolder;

constexpr int kGrey = 110;

Frame grey_picture(int width = 640, int height = 360) {
  return plain_picture(width, height, PixelFormat::kYuv420p, kGrey);
}

FrameResult one_object(const Box& box, std::int64_t track = kNoTrack) {
  FrameResult result;
  result.detections.boxes = {box};
  result.detections.scores = {0.9f};
  result.detections.classes = {0};
  if (track != kNoTrack) result.detections.tracks = {track};
  return result;
}

// Pixels of `rect` whose luma differs from the background.
int changed_in(const Frame& frame, const PixelRect& rect) {
  int changed = 0;
  const PixelRect inside = rect.intersect({0, 0, frame.info.width, frame.info.height});
  for (int y = inside.top; y < inside.bottom; ++y) {
    for (int x = inside.left; x < inside.right; ++x) changed += sample(frame, 0, x, y) != kGrey;
  }
  return changed;
}

TEST(Overlay, NothingFoundIsTheSamePicture) {
  const Frame picture = grey_picture();
  const Frame drawn = render_overlay(picture, {}, {});
  EXPECT_NE(drawn.planes[0].data, picture.planes[0].data);
  EXPECT_EQ(changed_in(drawn, {0, 0, 640, 360}), 0);
}

TEST(Overlay, BoxesAreOutlinedInTheTracksColor) {
  const Frame picture = grey_picture();
  const Frame drawn = render_overlay(picture, one_object({200, 100, 300, 250}, 7), {"car"});
  Frame expected = grey_picture();
  Canvas canvas(expected);
  Coverage all;
  all.reset(canvas.bounds(), canvas.bounds());
  all.add_rect(canvas.bounds());
  canvas.paint(all, palette_color(7));
  for (const auto& [x, y] : {std::pair{200, 180}, {299, 180}, {250, 249}, {250, 100}}) {
    EXPECT_EQ(sample(drawn, 0, x, y), sample(expected, 0, x, y)) << x << "," << y;
  }
  EXPECT_EQ(changed_in(drawn, {203, 103, 297, 247}), 0) << "the inside stays as it was";
  EXPECT_GT(changed_in(drawn, {200, 80, 300, 98}), 500) << "a label above it";
  EXPECT_EQ(changed_in(picture, {0, 0, 640, 360}), 0) << "the original is not touched";
}

TEST(Overlay, LabelsStayInsideThePicture) {
  // Boxes at and over every edge; a label that left the picture would be cut or crash.
  for (const Box& box : {Box{-30, -30, 50, 50}, Box{600, -10, 700, 60}, Box{630, 340, 660, 380},
                         Box{-100, 350, -5, 400}, Box{-1e9f, -1e9f, 1e9f, 1e9f}}) {
    const Frame drawn =
        render_overlay(grey_picture(), one_object(box, 1234), {"a rather long class name"});
    // The plate is about 200 x 13 pixels.
    EXPECT_GT(changed_in(drawn, {0, 0, 640, 360}), 1500) << box.x1 << " " << box.y1;
  }
}

TEST(Overlay, ALabelWiderThanThePictureIsCut) {
  EXPECT_NO_THROW(render_overlay(grey_picture(33, 17), one_object({5, 5, 9, 9}),
                                 {"wider than the picture itself by far"}));
  EXPECT_NO_THROW(render_overlay(grey_picture(1, 1), one_object({0, 0, 1, 1}), {"x"}));
}

TEST(Overlay, MasksAreBlended) {
  FrameResult result = one_object({100, 100, 200, 200});
  // Columns 120 to 179 from row 110 to 189.
  Mask mask{640, 360, {}};
  mask.counts.push_back(120 * 360 + 110);
  for (int x = 120; x < 180; ++x) {
    mask.counts.push_back(80);
    mask.counts.push_back(360 - 80);
  }
  mask.counts.back() = 360 - 190 + 460 * 360;
  result.detections.masks = {mask};
  const Frame drawn = render_overlay(grey_picture(), result, {"cat"});
  EXPECT_EQ(changed_in(drawn, {120, 110, 180, 190}), 60 * 80);
  EXPECT_EQ(changed_in(drawn, {105, 115, 120, 180}), 0);
  EXPECT_EQ(changed_in(drawn, {180, 115, 196, 180}), 0);
}

TEST(Overlay, SkeletonsLeaveDoubtfulPointsOut) {
  FrameResult result = one_object({100, 50, 300, 350});
  Detections& found = result.detections;
  found.keypoints_per_object = 17;
  found.keypoints.assign(17, {0, 0, 0});
  found.keypoints[5] = {150, 120, 0.9f};  // left shoulder
  found.keypoints[7] = {150, 200, 0.9f};  // left elbow
  found.keypoints[9] = {150, 300, 0.1f};  // left wrist: doubtful
  const Frame drawn = render_overlay(grey_picture(), result, {"person"});
  EXPECT_EQ(sample(drawn, 0, 150, 120), 235) << "white dots";
  EXPECT_NE(sample(drawn, 0, 150, 160), kGrey) << "the upper arm";
  EXPECT_EQ(changed_in(drawn, {120, 210, 200, 340}), 0) << "no forearm";
  EXPECT_EQ(changed_in(drawn, {0, 0, 20, 20}), 0) << "no line to the origin";
}

TEST(Overlay, PointsOfOtherBodiesAreDots) {
  FrameResult result = one_object({100, 50, 300, 350});
  result.detections.keypoints_per_object = 2;
  result.detections.keypoints = {{150, 120, 1}, {250, 120, 1}};
  const Frame drawn = render_overlay(grey_picture(), result, {"hand"});
  EXPECT_EQ(sample(drawn, 0, 250, 120), 235);
  EXPECT_EQ(changed_in(drawn, {160, 110, 240, 130}), 0) << "not joined";
}

TEST(Overlay, OrientedBoxesReplaceStraightOnes) {
  FrameResult result = one_object({214, 94, 356, 236});
  result.detections.oriented = {{285, 165, 140, 60, static_cast<float>(M_PI / 4)}};
  const Frame drawn = render_overlay(grey_picture(), result, {"ship"});
  // The middle of the right short side: 70 px along the diagonal, down and to the right.
  EXPECT_NE(sample(drawn, 0, 285 + 49, 165 + 49), kGrey);
  EXPECT_EQ(sample(drawn, 0, 285 + 49, 165 - 49), kGrey);
  EXPECT_EQ(changed_in(drawn, {350, 100, 360, 170}), 0) << "no straight side";
}

TEST(Overlay, TopClassesStandInTheCorner) {
  FrameResult result;
  result.classes = {{0, 0.8f}, {1, 0.1f}};
  const Frame drawn = render_overlay(grey_picture(), result, {"tabby cat", "tiger cat"});
  EXPECT_GT(changed_in(drawn, {0, 0, 100, 26}), 2000);
  EXPECT_EQ(changed_in(drawn, {0, 40, 640, 360}), 0);
}

TEST(Overlay, NonsenseIsNotDrawn) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  FrameResult result = one_object({nan, 0, 10, 10});
  const Frame drawn = render_overlay(grey_picture(), result, {"\xFF\xFE"});
  EXPECT_EQ(changed_in(drawn, {0, 0, 640, 360}), 0);
  EXPECT_GT(changed_in(render_overlay(grey_picture(), one_object({50, 50, 90, 90}), {"\xFF\xFE"}),
                       {0, 0, 640, 360}),
            300)
      << "a label that is not UTF-8";
}

TEST(Png, HoldsTheColorsOfThePicture) {
  const TemporaryFolder folder;
  Frame picture = plain_picture(9, 5, PixelFormat::kYuv420p, 63, 102, 240);  // BT.709 red
  write_png(folder / "a.png", picture);
  EXPECT_EQ(folder.names(), std::set<std::string>{"a.png"});
  cairo_surface_t* surface = cairo_image_surface_create_from_png((folder / "a.png").c_str());
  ASSERT_EQ(cairo_image_surface_get_width(surface), 9);
  ASSERT_EQ(cairo_image_surface_get_height(surface), 5);
  const unsigned char* pixel =
      cairo_image_surface_get_data(surface) + 4 * cairo_image_surface_get_stride(surface) + 8 * 4;
  EXPECT_NEAR(pixel[2], 255, 2);
  EXPECT_NEAR(pixel[1], 0, 2);
  EXPECT_NEAR(pixel[0], 0, 2);
  cairo_surface_destroy(surface);
}

TEST(Png, UnwritablePlacesAreNamed) {
  try {
    write_png("/no/such/folder/a.png", grey_picture(4, 4));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutput);
    EXPECT_NE(std::string(error.what()).find("'/no/such/folder' does not exist; create it first"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace peregrine::output
