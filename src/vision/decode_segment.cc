// SPDX-License-Identifier: Apache-2.0
#include "vision/decode_segment.h"

#include <algorithm>
#include <cmath>

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

float between(float a, float b, float weight) { return a + (b - a) * weight; }

}  // namespace

void MaskDecoder::map_axis(float low, float high, int source_size, float scale, float pad,
                           float cells_per_input, int cell_count, Axis& axis) {
  // Pixel p is inside when low <= p + 0.5 < high.
  axis.begin = std::clamp(static_cast<int>(std::ceil(low - 0.5f)), 0, source_size);
  axis.end = std::clamp(static_cast<int>(std::ceil(high - 0.5f)), axis.begin, source_size);
  const auto count = static_cast<std::size_t>(axis.end - axis.begin);
  axis.cell.resize(count);
  axis.weight.resize(count);
  if (count == 0) return;
  for (std::size_t i = 0; i < count; ++i) {
    const double in_input = (axis.begin + static_cast<double>(i) + 0.5) * scale + pad;
    const double place = std::clamp(in_input * cells_per_input - 0.5, 0.0, cell_count - 1.0);
    // The last cell is reached as the right end of the one before it, so that a next one exists.
    const int cell = std::min(static_cast<int>(place), std::max(cell_count - 2, 0));
    axis.cell[i] = cell;
    axis.weight[i] = static_cast<float>(place - cell);
  }
  axis.first_cell = axis.cell.front();
  axis.cells = std::min(axis.cell.back() + 2, cell_count) - axis.first_cell;
  for (int& cell : axis.cell) cell -= axis.first_cell;
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
  map_axis(box.x1, box.x2, mask.width, letterbox.scale_x, letterbox.pad_x,
           static_cast<float>(prototypes.width) / static_cast<float>(input.width), prototypes.width,
           x_);
  map_axis(box.y1, box.y2, mask.height, letterbox.scale_y, letterbox.pad_y,
           static_cast<float>(prototypes.height) / static_cast<float>(input.height),
           prototypes.height, y_);
  RunWriter runs(mask.counts);
  const std::int64_t height = mask.height;
  if (x_.begin == x_.end || y_.begin == y_.end) {
    runs.add(false, height * mask.width);
    runs.finish();
    return mask;
  }
  compute_logits(prototypes, coefficients);
  const auto rows = static_cast<std::size_t>(y_.cells);
  column_.resize(rows);
  runs.add(false, height * x_.begin);
  for (int x = x_.begin; x < x_.end; ++x) {
    const auto i = static_cast<std::size_t>(x - x_.begin);
    const float* left = logits_.data() + static_cast<std::size_t>(x_.cell[i]) * rows;
    const float* right = x_.cell[i] + 1 < x_.cells ? left + rows : left;
    for (std::size_t r = 0; r < rows; ++r) column_[r] = between(left[r], right[r], x_.weight[i]);
    runs.add(false, y_.begin);
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
    runs.add(false, height - y_.end);
  }
  runs.add(false, height * (mask.width - x_.end));
  runs.finish();
  return mask;
}

}  // namespace peregrine::vision
