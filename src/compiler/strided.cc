// SPDX-License-Identifier: Apache-2.0
#include "compiler/strided.h"

#include <algorithm>
#include <numeric>

namespace peregrine::compiler {
namespace {

// One axis that a run of axes collapses into: their common stride, none when they do not collapse.
// The run is given outermost first; axes of length 1 are skipped. {0 axes} collapse with stride 1.
struct Collapsed {
  std::int64_t stride = 0;  // of the innermost axis that counts, 0 when there is none
  bool uniform = true;
};
Collapsed collapse(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides) {
  Collapsed result;
  std::int64_t expected = 0;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;
    if (expected == 0) {
      result.stride = strides[i];
    } else if (strides[i] != expected) {
      result.uniform = false;
    }
    expected = strides[i] * shape[i];
    if (expected == 0) expected = -1;  // a repeated axis merges with none outside it
  }
  return result;
}

}  // namespace

std::optional<Shape> reshape_strides(const Shape& shape, const Shape& strides,
                                     const Shape& target) {
  // Both shapes are cut into the shortest runs of axes with equal products; each run of the source
  // must be one uniform axis unless it is a single one, and is then cut anew.
  Shape result(target.size(), 0);
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return packed_strides(target);
  std::size_t from = 0, to = 0;
  while (from < shape.size() || to < target.size()) {
    const std::size_t from_first = from, to_first = to;
    std::int64_t from_count = from < shape.size() ? shape[from++] : 1;
    std::int64_t to_count = to < target.size() ? target[to++] : 1;
    while (from_count != to_count) {
      if (from_count < to_count) {
        if (from == shape.size()) return std::nullopt;
        from_count *= shape[from++];
      } else {
        if (to == target.size()) return std::nullopt;
        to_count *= target[to++];
      }
    }
    // Broadcast axes of length 1 that follow belong to this run, so that they never start one.
    while (from < shape.size() && shape[from] == 1) ++from;
    while (to < target.size() && target[to] == 1) ++to;
    const std::span<const std::int64_t> run(shape.data() + from_first, from - from_first);
    const std::span<const std::int64_t> run_strides(strides.data() + from_first, from - from_first);
    const Collapsed one = collapse(run, run_strides);
    if (one.uniform) {
      std::int64_t stride = one.stride;
      for (std::size_t i = to; i-- > to_first;) {
        result[i] = stride;
        stride *= target[i];
      }
      continue;
    }
    // Not one axis: the run must then be cut at the same places on both sides, which the shortest
    // runs already are.
    return std::nullopt;
  }
  return result;
}

Shape permuted(const Shape& of, const model::Ints& permutation) {
  Shape result;
  for (const std::int64_t axis : permutation) result.push_back(of[static_cast<std::size_t>(axis)]);
  return result;
}

model::Ints inverse_permutation(const model::Ints& permutation) {
  model::Ints inverse(permutation.size());
  for (std::size_t i = 0; i < permutation.size(); ++i) {
    inverse[static_cast<std::size_t>(permutation[i])] = static_cast<std::int64_t>(i);
  }
  return inverse;
}

Shape broadcast_strides(const Shape& shape, const Shape& strides, const Shape& target) {
  Shape result(target.size(), 0);
  const std::size_t lead = target.size() - shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != 1) result[lead + i] = strides[i];
  }
  return result;
}

Shape packed_like(const Shape& shape, const Shape& like_shape, const Shape& like) {
  std::vector<std::size_t> order(shape.size());
  std::iota(order.begin(), order.end(), 0U);
  // Axes without a say keep their neighbours: they take the stride of the next axis inward.
  Shape key(shape.size(), 0);
  std::int64_t inner = 0;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (like_shape[i] != 1 && like[i] != 0) inner = like[i] < 0 ? -like[i] : like[i];
    key[i] = inner;
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return key[a] > key[b]; });
  Shape strides(shape.size(), 1);
  std::int64_t stride = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    strides[order[i]] = stride;
    stride *= std::max<std::int64_t>(shape[order[i]], 1);
  }
  return strides;
}

Shape channels_last(const Shape& shape) {
  if (shape.size() < 3) return packed_strides(shape);
  Shape strides(shape.size());
  std::int64_t stride = strides[1] = 1;
  stride = shape[1];
  for (std::size_t i = shape.size(); i-- > 2;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  strides[0] = stride;
  return strides;
}

bool same_strides(const Shape& shape, const Shape& a, const Shape& b) {
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != 1 && a[i] != b[i]) return false;
  }
  return true;
}

bool is_packed(const Shape& shape, const Shape& strides) {
  std::int64_t expected = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

std::optional<std::int64_t> row_stride(const Shape& shape, const Shape& strides) {
  if (shape.empty()) return 1;
  if (shape.back() != 1 && strides.back() != 1) return std::nullopt;
  const std::size_t outer = shape.size() - 1;
  const Collapsed rows = collapse(std::span(shape).first(outer), std::span(strides).first(outer));
  if (!rows.uniform) return std::nullopt;
  const bool single = element_count(std::span(shape).first(outer)) <= 1;
  const std::int64_t stride = single ? shape.back() : rows.stride;
  if (stride < shape.back()) return std::nullopt;  // repeated or backward rows
  return stride;
}

std::optional<std::int64_t> pixel_stride(const Shape& shape, const Shape& strides) {
  if (shape.size() < 3) return std::nullopt;
  Shape pixels(shape.begin() + 1, shape.end()), pixel_strides(strides.begin() + 1, strides.end());
  pixels.front() = shape[0];
  pixel_strides.front() = strides[0];
  pixels.push_back(shape[1]);
  pixel_strides.push_back(strides[1]);
  return row_stride(pixels, pixel_strides);
}

std::optional<std::int64_t> image_pixel_stride(const Shape& shape, const Shape& strides) {
  if (shape.empty()) return std::nullopt;
  Shape one = shape;
  one[0] = 1;
  const auto stride = pixel_stride(one, strides);
  // Images one after the other, or at least not inside each other.
  const std::int64_t pixels = shape[1] == 0 ? 0 : element_count(one) / shape[1];
  if (!stride || (shape[0] > 1 && strides[0] < *stride * pixels)) return std::nullopt;
  return stride;
}

std::optional<std::int64_t> plane_pixel_stride(const Shape& shape, const Shape& strides) {
  if (shape.size() < 2) return std::nullopt;
  Shape one = shape;
  one[1] = 1;
  return image_pixel_stride(one, strides);
}

}  // namespace peregrine::compiler
