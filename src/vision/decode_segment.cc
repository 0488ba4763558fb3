// SPDX-License-Identifier: Apache-2.0
#include "vision/decode_segment.h"

#include <algorithm>

namespace peregrine::vision {
namespace {

/// Collects runs of equal pixels; the first run counts zeros and may be empty.
class RunWriter {
 public:
  explicit RunWriter(std::vector<std::uint32_t>& counts) : counts_(counts) {}
  void add(bool value, std::int64_t pixels) {
    if (pixels == 0) return;
    if (value != value_) {
      counts_.push_back(run_);
      run_ = 0;
      value_ = value;
    }
    run_ += static_cast<std::uint32_t>(pixels);
  }
  void finish() { counts_.push_back(run_); }

 private:
  std::vector<std::uint32_t>& counts_;
  std::uint32_t run_ = 0;
  bool value_ = false;
};

}  // namespace
void MaskDecoder::touch(const MaskAxis& axis, Touched& touched) {
  const auto count = static_cast<std::size_t>(axis.size());
  touched.cell.resize(count);
  touched.weight.resize(count);
  if (count == 0) return;
  for (std::size_t i = 0; i < count; ++i) {
    const MaskAxis::Place place = axis.at(axis.begin + static_cast<int>(i));
    touched.cell[i] = place.cell;
    touched.weight[i] = place.weight;
  }
  touched.first_cell = touched.cell.front();
  touched.cells = std::min(touched.cell.back() + 2, axis.cell_count) - touched.first_cell;
  for (int& cell : touched.cell) cell -= touched.first_cell;
}

void MaskDecoder::compute_logits(const Prototypes& prototypes,
                                 std::span<const float> coefficients) {
  const auto rows = static_cast<std::size_t>(y_.cells),
             columns = static_cast<std::size_t>(x_.cells);
  const auto width = static_cast<std::size_t>(prototypes.width);
  const std::size_t plane = width * static_cast<std::size_t>(prototypes.height);
  row_.resize(columns);
  logits_.resize(rows * columns);
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t offset = (static_cast<std::size_t>(y_.first_cell) + r) * width +
                               static_cast<std::size_t>(x_.first_cell);
    std::fill(row_.begin(), row_.end(), 0.0f);
    for (std::size_t k = 0; k < coefficients.size(); ++k) {
      const float* from = prototypes.data + k * plane + offset;
      const float coefficient = coefficients[k];
      for (std::size_t c = 0; c < columns; ++c) row_[c] += coefficient * from[c];
    }
    for (std::size_t c = 0; c < columns; ++c) logits_[c * rows + r] = row_[c];
  }
}

Mask MaskDecoder::decode(const Prototypes& prototypes, std::span<const float> coefficients,
                         const Box& box, const Letterbox& letterbox, const InputSpec& input) {
  Mask mask;
  mask.width = letterbox.source_width;
  mask.height = letterbox.source_height;
  const MaskField field{input.width, input.height, prototypes.width, prototypes.height};
  const MaskAxis x_axis = mask_columns(field, box, letterbox);
  const MaskAxis y_axis = mask_rows(field, box, letterbox);
  RunWriter runs(mask.counts);
  const std::int64_t height = mask.height;
  if (x_axis.size() == 0 || y_axis.size() == 0) {
    runs.add(false, height * mask.width);
    runs.finish();
    return mask;
  }
  touch(x_axis, x_);
  touch(y_axis, y_);
  compute_logits(prototypes, coefficients);
  const auto rows = static_cast<std::size_t>(y_.cells);
  column_.resize(rows);
  runs.add(false, height * x_axis.begin);
  for (int x = x_axis.begin; x < x_axis.end; ++x) {
    const auto i = static_cast<std::size_t>(x - x_axis.begin);
    const float* left = logits_.data() + static_cast<std::size_t>(x_.cell[i]) * rows;
    const float* right = x_.cell[i] + 1 < x_.cells ? left + rows : left;
    for (std::size_t r = 0; r < rows; ++r) column_[r] = between(left[r], right[r], x_.weight[i]);
    runs.add(false, y_axis.begin);
    // Between two cells of one sign every pixel has that sign: most of a column goes in a few
    // steps.
    const std::size_t count = y_.cell.size();
    for (std::size_t p = 0; p < count;) {
      const auto cell = static_cast<std::size_t>(y_.cell[p]);
      const float above = column_[cell], below = column_[std::min(cell + 1, rows - 1)];
      std::size_t end = p + 1;
      if ((above > 0) == (below > 0)) {
        while (end < count && y_.cell[end] == y_.cell[p]) ++end;
        runs.add(above > 0, static_cast<std::int64_t>(end - p));
      } else {
        runs.add(between(above, below, y_.weight[p]) > 0, 1);
      }
      p = end;
    }
    runs.add(false, height - y_axis.end);
  }
  runs.add(false, height * (mask.width - x_axis.end));
  runs.finish();
  return mask;
}

}  // namespace peregrine::vision
