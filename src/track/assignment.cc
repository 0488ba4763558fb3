// SPDX-License-Identifier: Apache-2.0
#include "track/assignment.h"

#include <cstddef>
#include <limits>
#include <utility>

namespace peregrine::track {

// What a pair adds to the sum. Pairs at the limit or past it cost nothing, just as leaving both
// alone: so a full assignment of the smaller side exists, and its zero-cost pairs are dropped.
double Assignment::price(int row, int column) const {
  const std::size_t index = transposed_ ? static_cast<std::size_t>(column) * input_columns_ + row
                                        : static_cast<std::size_t>(row) * input_columns_ + column;
  const float cost = costs_[index];
  return cost < limit_ ? static_cast<double>(cost) - limit_ : 0;
}

// Dijkstra over reduced prices from `row` to the nearest free column, then flips the path. Column
// `columns_` is the virtual column that holds `row` while the search runs.
void Assignment::augment(int row) {
  const double infinity = std::numeric_limits<double>::infinity();
  distance_.assign(static_cast<std::size_t>(columns_) + 1, infinity);
  settled_.assign(static_cast<std::size_t>(columns_) + 1, 0);
  int column = columns_;
  row_of_column_[column] = row;
  do {
    settled_[column] = 1;
    const int from = row_of_column_[column];
    double nearest = infinity;
    int next = columns_;
    for (int j = 0; j < columns_; ++j) {
      if (settled_[j]) continue;
      const double reduced = price(from, j) - row_price_[from] - column_price_[j];
      if (reduced < distance_[j]) {
        distance_[j] = reduced;
        via_column_[j] = column;
      }
      if (distance_[j] < nearest) {
        nearest = distance_[j];
        next = j;
      }
    }
    for (int j = 0; j <= columns_; ++j) {
      if (settled_[j]) {
        row_price_[row_of_column_[j]] += nearest;
        column_price_[j] -= nearest;
      } else {
        distance_[j] -= nearest;
      }
    }
    column = next;
  } while (row_of_column_[column] != kUnassigned);
  while (column != columns_) {
    const int previous = via_column_[column];
    row_of_column_[column] = row_of_column_[previous];
    column = previous;
  }
}

std::span<const int> Assignment::solve(std::span<const float> costs, int rows, int columns,
                                       float limit) {
  answer_.assign(static_cast<std::size_t>(rows), kUnassigned);
  if (rows == 0 || columns == 0) return answer_;
  costs_ = costs;
  limit_ = limit;
  input_columns_ = columns;
  transposed_ = rows > columns;
  rows_ = transposed_ ? columns : rows;
  columns_ = transposed_ ? rows : columns;
  row_price_.assign(static_cast<std::size_t>(rows_), 0);
  column_price_.assign(static_cast<std::size_t>(columns_) + 1, 0);
  via_column_.assign(static_cast<std::size_t>(columns_) + 1, columns_);
  row_of_column_.assign(static_cast<std::size_t>(columns_) + 1, kUnassigned);
  for (int row = 0; row < rows_; ++row) augment(row);
  for (int column = 0; column < columns_; ++column) {
    const int row = row_of_column_[column];
    if (row == kUnassigned || !(price(row, column) < 0)) continue;
    if (transposed_) {
      answer_[column] = row;
    } else {
      answer_[row] = column;
    }
  }
  return answer_;
}

}  // namespace peregrine::track
