// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

namespace peregrine::track {

constexpr int kUnassigned = -1;

/// Optimal assignment of rows to columns with a price for leaving both alone.
///
/// `costs` [rows, columns], row-major. Finds the partial matching that minimises the sum of
/// `cost - limit` over its pairs: a pair that costs `limit` or more (or is NaN) is never made, and
/// the answer equals that of LAPJV with `cost_limit = limit`. Exact. Ties go the same way on every
/// machine.
/// Jonker and Volgenant's shortest augmenting paths, without their initialisations: O(k^2 m) at
/// worst for k the smaller side, O(k m) when few pairs compete, as with boxes.
class Assignment {
 public:
  /// Column of each row, or `kUnassigned`; valid until the next call. Keeps its memory between
  /// calls.
  std::span<const int> solve(std::span<const float> costs, int rows, int columns, float limit);

 private:
  void augment(int row);
  double price(int row, int column) const;

  std::span<const float> costs_;
  int rows_ = 0, columns_ = 0;
  bool transposed_ = false;  // the search runs over the smaller side
  int input_columns_ = 0;
  float limit_ = 0;
  std::vector<int> row_of_column_, via_column_, answer_;
  std::vector<double> row_price_, column_price_, distance_;
  std::vector<char> settled_;
};

}  // namespace peregrine::track
