// SPDX-License-Identifier: Apache-2.0
#include "eval/similarity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace peregrine::eval {
namespace {

constexpr double kTiny = std::numeric_limits<double>::epsilon();  // numpy's spacing(1)

double box_likeness(const Object& found, const Object& truth) {
  const double w =
      std::min<double>(found.box.x2, truth.box.x2) - std::max<double>(found.box.x1, truth.box.x1);
  const double h =
      std::min<double>(found.box.y2, truth.box.y2) - std::max<double>(found.box.y1, truth.box.y1);
  if (w <= 0 || h <= 0) return 0;
  const auto area = [](const Box& b) {
    return (static_cast<double>(b.x2) - b.x1) * (static_cast<double>(b.y2) - b.y1);
  };
  const double shared = w * h;
  return shared / (truth.ignore ? area(found.box) : area(found.box) + area(truth.box) - shared);
}

double mask_likeness(const Object& found, const Object& truth) {
  const double shared = shared_pixels(found.mask, truth.mask);
  if (shared == 0) return 0;
  return shared / (truth.ignore ? found.area() : found.area() + truth.area() - shared);
}

/// COCO's per-keypoint deviations, relative to the object's size.
constexpr std::array<double, 17> kSigmas = {.026, .025, .025, .035, .035, .079, .079, .072, .072,
                                            .062, .062, .107, .107, .087, .087, .089, .089};

double keypoint_likeness(const Object& found, const Object& truth) {
  const std::size_t count =
      std::min({found.keypoints.size(), truth.keypoints.size(), kSigmas.size()});
  const bool marked = std::any_of(truth.keypoints.begin(), truth.keypoints.end(),
                                  [](const Keypoint& k) { return k.score > 0; });
  // Nothing marked: what counts is how far points lie outside of the box, doubled (as pycocotools
  // does).
  const double w = static_cast<double>(truth.box.x2) - truth.box.x1,
               h = static_cast<double>(truth.box.y2) - truth.box.y1;
  const double x0 = truth.box.x1 - w, x1 = truth.box.x1 + 2 * w, y0 = truth.box.y1 - h,
               y1 = truth.box.y1 + 2 * h;
  double sum = 0;
  int used = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const Keypoint &f = found.keypoints[k], &t = truth.keypoints[k];
    if (marked && t.score <= 0) continue;
    double dx = static_cast<double>(f.x) - t.x, dy = static_cast<double>(f.y) - t.y;
    if (!marked) {
      dx = std::max(0.0, x0 - f.x) + std::max(0.0, f.x - x1);
      dy = std::max(0.0, y0 - f.y) + std::max(0.0, f.y - y1);
    }
    const double deviation = 2 * kSigmas[k];
    sum += std::exp(-(dx * dx + dy * dy) / (deviation * deviation) / (truth.area() + kTiny) / 2);
    ++used;
  }
  return used > 0 ? sum / used : 0;
}

}  // namespace

double shared_pixels(const Mask& a, const Mask& b) {
  if (a.width != b.width || a.height != b.height) return 0;
  double shared = 0;
  std::size_t i = 0, j = 0;
  std::uint64_t left_a = a.counts.empty() ? 0 : a.counts[0],
                left_b = b.counts.empty() ? 0 : b.counts[0];
  while (i < a.counts.size() && j < b.counts.size()) {
    const std::uint64_t step = std::min(left_a, left_b);
    if (i % 2 == 1 && j % 2 == 1) shared += static_cast<double>(step);
    left_a -= step;
    left_b -= step;
    if (left_a == 0 && ++i < a.counts.size()) left_a = a.counts[i];
    if (left_b == 0 && ++j < b.counts.size()) left_b = b.counts[j];
  }
  return shared;
}

double similarity(Likeness likeness, const Object& found, const Object& truth) {
  switch (likeness) {
    case Likeness::kMask: return mask_likeness(found, truth);
    case Likeness::kKeypoints: return keypoint_likeness(found, truth);
    default: return box_likeness(found, truth);
  }
}

std::vector<int> best_pairs(const Matrix& gain) {
  // Shortest augmenting paths with potentials over the smaller side; 1-based, column 0 is the row
  // that looks for a partner.
  const bool turned = gain.rows > gain.columns;
  const std::size_t n = std::min(gain.rows, gain.columns), m = std::max(gain.rows, gain.columns);
  const auto cost = [&](std::size_t i, std::size_t j) {
    return turned ? -gain(j, i) : -gain(i, j);
  };
  std::vector<double> u(n + 1, 0), v(m + 1, 0);
  std::vector<std::size_t> row_of(m + 1, 0), way(m + 1, 0);
  for (std::size_t i = 1; i <= n; ++i) {
    row_of[0] = i;
    std::size_t column = 0;
    std::vector<double> least(m + 1, std::numeric_limits<double>::infinity());
    std::vector<char> used(m + 1, 0);
    do {
      used[column] = 1;
      const std::size_t row = row_of[column];
      double delta = std::numeric_limits<double>::infinity();
      std::size_t next = 0;
      for (std::size_t j = 1; j <= m; ++j) {
        if (used[j]) continue;
        const double reduced = cost(row - 1, j - 1) - u[row] - v[j];
        if (reduced < least[j]) least[j] = reduced, way[j] = column;
        if (least[j] < delta) delta = least[j], next = j;
      }
      for (std::size_t j = 0; j <= m; ++j) {
        if (used[j]) {
          u[row_of[j]] += delta;
          v[j] -= delta;
        } else {
          least[j] -= delta;
        }
      }
      column = next;
    } while (row_of[column] != 0);
    for (; column != 0; column = way[column]) row_of[column] = row_of[way[column]];
  }
  std::vector<int> answer(gain.rows, -1);
  for (std::size_t j = 1; j <= m; ++j) {
    if (row_of[j] == 0) continue;
    if (turned) {
      answer[j - 1] = static_cast<int>(row_of[j] - 1);
    } else {
      answer[row_of[j] - 1] = static_cast<int>(j - 1);
    }
  }
  return answer;
}

}  // namespace peregrine::eval
