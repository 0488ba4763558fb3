// SPDX-License-Identifier: Apache-2.0
#include "overlay_cases.h"

#include <cmath>
#include <limits>
#include <random>

#include "test_picture.h"

namespace peregrine::output {
namespace {

class Scene {
 public:
  Scene(int width, int height, unsigned seed) : width_(width), height_(height), random_(seed) {}

  float between(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(random_);
  }

  Frame noise(ColorMatrix matrix, ColorRange range) {
    Frame frame = plain_picture(width_, height_, PixelFormat::kNv12, 0);
    frame.matrix = matrix;
    frame.range = range;
    for (std::size_t p = 0; p < 2; ++p) {
      const int rows = p == 0 ? height_ : (height_ + 1) / 2;
      auto* bytes = const_cast<std::uint8_t*>(frame.planes[p].data);
      for (std::int64_t i = 0; i < frame.planes[p].stride * rows; ++i) {
        bytes[i] = static_cast<std::uint8_t>(random_());
      }
    }
    return frame;
  }

  // Some reach beyond the picture, some lie outside it.
  Box box() {
    const auto width = static_cast<float>(width_), height = static_cast<float>(height_);
    const float x = between(-0.2f * width, 1.1f * width), y = between(-0.2f * height, height);
    return {x, y, x + between(1, 0.4f * width), y + between(1, 0.5f * height)};
  }

  void add_object(Detections& found, int class_id) {
    found.boxes.push_back(box());
    found.scores.push_back(between(0.25f, 1));
    found.classes.push_back(class_id);
  }

  // Ellipses with a hole: several runs a column.
  Mask mask(const Box& box) {
    Mask made{width_, height_, {}};
    std::uint32_t run = 0;
    bool ones = false;
    for (int x = 0; x < width_; ++x) {
      for (int y = 0; y < height_; ++y, ++run) {
        const float dx = (static_cast<float>(x) - (box.x1 + box.x2) / 2) / (box.width() / 2);
        const float dy = (static_cast<float>(y) - (box.y1 + box.y2) / 2) / (box.height() / 2);
        const float distance = dx * dx + dy * dy;
        if ((distance < 1 && distance > 0.2f) == ones) continue;
        made.counts.push_back(run);
        run = 0;
        ones = !ones;
      }
    }
    made.counts.push_back(run);
    return made;
  }

  void add_keypoints(Detections& found, int count) {
    const Box& box = found.boxes.back();
    for (int k = 0; k < count; ++k) {
      found.keypoints.push_back({between(box.x1, box.x2), between(box.y1, box.y2), between(0, 1)});
    }
    found.keypoints_per_object = count;
  }

  DepthMap depth(int width, int height) {
    DepthMap map;
    map.width = width;
    map.height = height;
    map.min = 0.5f;
    map.max = 7;
    for (int i = 0; i < width * height; ++i) map.values.push_back(between(map.min, map.max));
    map.values[5] = std::numeric_limits<float>::quiet_NaN();
    return map;
  }

 private:
  int width_, height_;
  std::mt19937 random_;
};

}  // namespace

const std::vector<std::string>& overlay_labels() {
  static const std::vector<std::string> labels = {"person", "bi\xC3\xA9 \xE7\x8A\xAC", "car \xFF",
                                                  "traffic light, gypq"};
  return labels;
}

std::vector<OverlayCase> overlay_cases() {
  std::vector<OverlayCase> cases;
  struct Size {
    const char* name;
    int width, height;
    ColorMatrix matrix;
    ColorRange range;
  };
  const Size sizes[] = {
      {"640x360", 640, 360, ColorMatrix::kBt709, ColorRange::kLimited},
      {"odd 641x361, full range", 641, 361, ColorMatrix::kBt601, ColorRange::kFull},
      {"1920x1080", 1920, 1080, ColorMatrix::kBt2020, ColorRange::kLimited},
      {"tiny 3x1", 3, 1, ColorMatrix::kBt709, ColorRange::kLimited},
  };
  for (const Size& size : sizes) {
    Scene scene(size.width, size.height, 7);
    const auto add = [&](const char* what, FrameResult result) {
      result.frame.width = size.width;
      result.frame.height = size.height;
      cases.push_back({std::string(what) + ", " + size.name, scene.noise(size.matrix, size.range),
                       std::move(result)});
    };
    add("nothing", {});
    FrameResult boxes, tracks, oriented, masks, skeletons, points, classes, depth, odd;
    for (int i = 0; i < 40; ++i) {
      scene.add_object(boxes.detections, i % 6);  // two classes have no name
      scene.add_object(tracks.detections, i % 4);
      tracks.detections.tracks.push_back(i % 5 == 0 ? kNoTrack : 100 * i + 1);
      scene.add_object(oriented.detections, i % 4);
      const Box& box = oriented.detections.boxes.back();
      oriented.detections.oriented.push_back({(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2,
                                              box.width() / 2, box.height() / 3,
                                              scene.between(-0.7f, 2.3f)});
      if (i < 12) {
        scene.add_object(masks.detections, i % 4);
        masks.detections.masks.push_back(scene.mask(masks.detections.boxes.back()));
      }
      scene.add_object(skeletons.detections, 0);
      scene.add_keypoints(skeletons.detections, 17);
      scene.add_object(points.detections, 1);
      scene.add_keypoints(points.detections, 5);
    }
    add("boxes", boxes);
    add("tracks", tracks);
    add("oriented boxes", oriented);
    add("masks", masks);
    add("skeletons", skeletons);
    add("points", points);
    classes.classes = {{0, 0.9f}, {1, 0.05f}, {77, 0.01f}};
    add("classes", classes);
    depth.depth = scene.depth(37, 29);
    add("depth", depth);
    boxes.depth = scene.depth(518, 518);
    add("depth and boxes", boxes);
    odd.detections = skeletons.detections;
    odd.detections.boxes[0] = {-1e9f, -1e9f, 1e9f, 1e9f};
    odd.detections.boxes[1].x1 = std::numeric_limits<float>::quiet_NaN();
    odd.detections.keypoints[20].x = 1e30f;
    odd.detections.keypoints[21].y = -std::numeric_limits<float>::infinity();
    add("numbers out of bounds", odd);
  }
  return cases;
}

OverlayCase crowd(int objects) {
  Scene scene(1920, 1080, 3);
  OverlayCase made{"crowd", scene.noise(ColorMatrix::kBt709, ColorRange::kLimited), {}};
  made.result.frame.width = 1920;
  made.result.frame.height = 1080;
  Detections& found = made.result.detections;
  for (int i = 0; i < objects; ++i) {
    const float x = scene.between(0, 1770), y = scene.between(0, 700);
    found.boxes.push_back({x, y, x + 150, y + 380});
    found.scores.push_back(scene.between(0.3f, 1));
    found.classes.push_back(0);
    found.tracks.push_back(i + 1);
    found.masks.push_back(scene.mask(found.boxes.back()));
    scene.add_keypoints(found, 17);
  }
  return made;
}

std::vector<std::uint8_t> packed_nv12(const Frame& frame) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t p = 0; p < 2; ++p) {
    const int rows = p == 0 ? frame.info.height : (frame.info.height + 1) / 2;
    const int row_bytes = p == 0 ? frame.info.width : (frame.info.width + 1) / 2 * 2;
    for (int y = 0; y < rows; ++y) {
      const std::uint8_t* row = frame.planes[p].data + y * frame.planes[p].stride;
      bytes.insert(bytes.end(), row, row + row_bytes);
    }
  }
  return bytes;
}

}  // namespace peregrine::output
