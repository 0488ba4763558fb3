// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "eval/records.h"

namespace peregrine::eval {

enum class Likeness { kBox, kMask, kKeypoints };

/// How alike a found object and a true one are, in [0, 1], as COCO defines it: intersection over
/// union of boxes or masks (over the found object's area alone where the true one is to be
/// ignored), or object keypoint similarity.
double similarity(Likeness likeness, const Object& found, const Object& truth);

/// Pixels that both masks have. Masks of different sizes share none.
double shared_pixels(const Mask& a, const Mask& b);

/// Row-major [rows, columns].
struct Matrix {
  std::size_t rows = 0, columns = 0;
  std::vector<double> values;
  Matrix(std::size_t r, std::size_t c) : rows(r), columns(c), values(r * c, 0.0) {}
  double& operator()(std::size_t r, std::size_t c) { return values[r * columns + c]; }
  double operator()(std::size_t r, std::size_t c) const { return values[r * columns + c]; }
};

/// Column of each row, or -1, such that the sum of `gain` is largest; min(rows, columns) pairs are
/// made. In double precision and complete, as the published measures are defined (the tracker's own
/// assignment works in floats and leaves bad pairs alone).
std::vector<int> best_pairs(const Matrix& gain);

}  // namespace peregrine::eval
