// SPDX-License-Identifier: Apache-2.0
#include "vision/nms.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "testing/expect_error.h"

namespace peregrine::vision {
namespace {

struct Scene {
  std::vector<Box> boxes;
  std::vector<float> scores;
  std::vector<int> classes;
};

// Boxes around `objects` places, so that many overlap; scores in steps, so that many tie.
Scene make_scene(int count, int objects, int class_count, unsigned seed) {
  std::mt19937 random(seed);
  const auto uniform = [&](double low, double high) {
    return static_cast<float>(std::uniform_real_distribution<double>(low, high)(random));
  };
  Scene scene;
  for (int i = 0; i < count; ++i) {
    const auto object = static_cast<float>(random() % static_cast<unsigned>(objects));
    const float x = object * 13 + uniform(-6, 6), y = object * 7 + uniform(-6, 6);
    scene.boxes.push_back({x, y, x + uniform(5, 40), y + uniform(5, 40)});
    scene.scores.push_back(std::round(uniform(0.01, 1) * 200) / 200);
    scene.classes.push_back(static_cast<int>(random() % static_cast<unsigned>(class_count)));
  }
  return scene;
}

// The definition: repeatedly take the best that is left, drop what overlaps it.
template <typename Overlap>
std::vector<int> naive(const Scene& scene, float iou, int limit, const Overlap& overlap) {
  std::vector<int> order(scene.boxes.size());
  std::iota(order.begin(), order.end(), 0);
  const auto score = [&](int i) { return scene.scores[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return score(a) > score(b); });
  std::vector<int> kept;
  for (const int candidate : order) {
    const bool dropped = std::any_of(kept.begin(), kept.end(), [&](int k) {
      return scene.classes[static_cast<std::size_t>(k)] ==
                 scene.classes[static_cast<std::size_t>(candidate)] &&
             overlap(static_cast<std::size_t>(k), static_cast<std::size_t>(candidate)) > iou;
    });
    if (!dropped) kept.push_back(candidate);
    if (std::ssize(kept) == limit) break;
  }
  return kept;
}

std::vector<int> to_vector(std::span<const int> span) { return {span.begin(), span.end()}; }

TEST(Suppress, AgreesWithItsDefinition) {
  Suppressor suppressor;
  unsigned seed = 0;
  for (const int count : {0, 1, 7, 200, 256, 257, 3000}) {
    for (const int classes : {1, 3, 80}) {
      for (const float threshold : {0.0f, 0.3f, 0.7f, 1.0f}) {
        const Scene scene = make_scene(count, 12, classes, ++seed);
        const auto overlap = [&](std::size_t a, std::size_t b) {
          return iou(scene.boxes[a], scene.boxes[b]);
        };
        EXPECT_EQ(to_vector(suppressor.suppress(scene.boxes, scene.scores, scene.classes, threshold,
                                                300)),
                  naive(scene, threshold, 300, overlap))
            << count << " boxes, " << classes << " classes, threshold " << threshold;
      }
    }
  }
}

TEST(Suppress, TiesKeepTheLowerIndex) {
  Suppressor suppressor;
  for (const std::size_t count : {4u, 1000u}) {
    const std::vector<Box> boxes(count, Box{0, 0, 10, 10});
    const std::vector<float> scores(count, 0.5f);
    const std::vector<int> classes(count, 3);
    EXPECT_EQ(to_vector(suppressor.suppress(boxes, scores, classes, 0.5f, 300)),
              std::vector<int>{0});
    std::vector<int> first(300);
    std::iota(first.begin(), first.end(), 0);
    first.resize(std::min<std::size_t>(count, 300));
    EXPECT_EQ(to_vector(suppressor.suppress(boxes, scores, classes, 1.0f, 300)), first);
  }
}

TEST(Suppress, ThresholdIsExclusiveAndEmptyBoxesMeetNothing) {
  Suppressor suppressor;
  const std::vector<Box> boxes{{0, 0, 2, 1}, {1, 0, 3, 1}, {5, 5, 5, 5}, {5, 5, 5, 5}};
  const std::vector<float> scores{0.9f, 0.8f, 0.7f, 0.6f};
  const std::vector<int> classes(4, 0);
  const float exactly = iou(boxes[0], boxes[1]);
  EXPECT_EQ(suppressor.suppress(boxes, scores, classes, exactly, 9).size(), 4u);
  EXPECT_EQ(suppressor.suppress(boxes, scores, classes, std::nextafter(exactly, 0.0f), 9).size(),
            3u);
}

TEST(Suppress, OnlyTheBestCandidatesCount) {
  const std::size_t count = kMaxCandidates + 500;
  std::vector<Box> boxes(count, Box{0, 0, 1, 1});
  std::vector<float> scores(count);
  std::vector<int> classes(count, 0);
  for (std::size_t i = 0; i < count; ++i) scores[i] = static_cast<float>(i) * 1e-5f;
  boxes[499] = {50, 50, 60, 60};  // the best of those that fall off
  boxes[500] = {70, 70, 80, 80};  // the last of those that stay
  Suppressor suppressor;
  EXPECT_EQ(to_vector(suppressor.suppress(boxes, scores, classes, 0.5f, 300)),
            (std::vector<int>{static_cast<int>(count) - 1, 500}));
}

TEST(Suppress, NegativeScoresSortBelowPositiveOnes) {
  const std::vector<Box> boxes{{0, 0, 1, 1}, {2, 2, 3, 3}, {4, 4, 5, 5}, {6, 6, 7, 7}};
  const std::vector<float> scores{-2.0f, 0.0f, 3.0f, -1.0f};
  Suppressor suppressor;
  EXPECT_EQ(to_vector(suppressor.suppress(boxes, scores, std::vector<int>(4, 0), 0.5f, 9)),
            (std::vector<int>{2, 1, 3, 0}));
}

TEST(Suppress, RefusesArraysOfDifferentLength) {
  Suppressor suppressor;
  const std::vector<Box> boxes(2);
  const std::vector<float> scores(3);
  const std::vector<int> classes(2);
  peregrine::testing::expect_error(ErrorCode::kInvalidShape, {"2 boxes, 3 scores"},
                                   [&] { suppressor.suppress(boxes, scores, classes, 0.5f, 9); });
}

TEST(SuppressRotated, AgreesWithItsDefinition) {
  Suppressor suppressor;
  for (const int count : {0, 1, 60, 700}) {
    const Scene scene = make_scene(count, 12, 3, 77u + static_cast<unsigned>(count));
    std::vector<OrientedBox> oriented;
    for (std::size_t i = 0; i < scene.boxes.size(); ++i) {
      const Box& box = scene.boxes[i];
      oriented.push_back(
          {box.x1, box.y1, box.width(), box.height(), static_cast<float>(i % 12) / 4});
    }
    const auto overlap = [&](std::size_t a, std::size_t b) {
      return prob_iou(oriented[a], oriented[b]);
    };
    EXPECT_EQ(
        to_vector(suppressor.suppress_rotated(oriented, scene.scores, scene.classes, 0.4f, 100)),
        naive(scene, 0.4f, 100, overlap));
  }
}

// 1 - Hellinger distance by numeric integration of the two Gaussians.
double prob_iou_integrated(const OrientedBox& a, const OrientedBox& b) {
  const auto density = [](const OrientedBox& box, double x, double y) {
    const double cosine = std::cos(box.angle), sine = std::sin(box.angle);
    const double along = (x - box.cx) * cosine + (y - box.cy) * sine;
    const double across = -(x - box.cx) * sine + (y - box.cy) * cosine;
    const double va = box.width * box.width / 12.0, vb = box.height * box.height / 12.0;
    return std::exp(-along * along / va / 2 - across * across / vb / 2) /
           (2 * std::numbers::pi * std::sqrt(va * vb));
  };
  double affinity = 0;
  const double step = 0.05;
  for (double y = -15; y < 15; y += step) {
    for (double x = -15; x < 15; x += step) {
      affinity += std::sqrt(density(a, x, y) * density(b, x, y)) * step * step;
    }
  }
  return 1 - std::sqrt(1 - affinity);
}

TEST(ProbIou, IsOneMinusHellingerDistance) {
  const OrientedBox box{0, 0, 6, 3, 0.3f};
  for (const OrientedBox& other : {OrientedBox{1, 0.5f, 5, 4, -0.4f}, OrientedBox{2, 2, 6, 3, 0.3f},
                                   OrientedBox{0, 0, 3, 6, 0.3f + std::numbers::pi_v<float> / 2},
                                   OrientedBox{4, -3, 2, 2, 1}}) {
    EXPECT_NEAR(prob_iou(box, other), prob_iou_integrated(box, other), 2e-3);
    EXPECT_FLOAT_EQ(prob_iou(box, other), prob_iou(other, box));
  }
  EXPECT_NEAR(prob_iou(box, box), 1, 1e-3);
  EXPECT_NEAR(prob_iou(box, {500, 0, 6, 3, 0}), 0, 1e-3);
  EXPECT_TRUE(std::isfinite(prob_iou({0, 0, 0, 0, 0}, {0, 0, 0, 0, 0})));
}

}  // namespace
}  // namespace peregrine::vision
