// SPDX-License-Identifier: Apache-2.0
// Ops that order things: TopK and NonMaxSuppression.
#include <algorithm>
#include <numeric>

#include "model/absent_rows.h"
#include "model/reference/kernel.h"

namespace peregrine::model::reference {
namespace {

struct Corners {
  float y1, x1, y2, x2;
  float area() const { return (y2 - y1) * (x2 - x1); }
};

// `centred`: [x centre, y centre, width, height]; else two opposite corners y x y x in any order.
Corners corners_of(const float* box, bool centred) {
  if (centred) {
    return {box[1] - box[3] / 2, box[0] - box[2] / 2, box[1] + box[3] / 2, box[0] + box[2] / 2};
  }
  return {std::min(box[0], box[2]), std::min(box[1], box[3]), std::max(box[0], box[2]),
          std::max(box[1], box[3])};
}

float overlap(const Corners& a, const Corners& b) {
  const float height = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  const float width = std::min(a.x2, b.x2) - std::max(a.x1, b.x1);
  if (height <= 0 || width <= 0) return 0;
  const float intersection = height * width;
  return intersection / (a.area() + b.area() - intersection);
}

}  // namespace

namespace kernels {

void top_k(const KernelContext& c) {
  const std::int64_t axis = c.attributes().get_int("axis", -1);
  const AxisView x = axis_view(c.shape(0), axis);
  const AxisView y = axis_view(c.out().shape(), axis);
  const bool largest = c.attributes().get_int("largest", 1) != 0;
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(x.extent));
    for (std::int64_t outer = 0; outer < x.outer; ++outer)
      for (std::int64_t i = 0; i < x.inner; ++i) {
        const T* row = c.data<T>(0) + outer * x.extent * x.inner + i;
        std::iota(order.begin(), order.end(), 0);
        // Equal values keep the lower index first, as ONNX demands.
        std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
          return largest ? row[a * x.inner] > row[b * x.inner]
                         : row[a * x.inner] < row[b * x.inner];
        });
        for (std::int64_t k = 0; k < y.extent; ++k) {
          const std::int64_t to = (outer * y.extent + k) * y.inner + i;
          const std::int64_t from = order[static_cast<std::size_t>(k)];
          c.result<T>(0)[to] = row[from * x.inner];
          if (c.wants(1)) c.result<std::int64_t>(1)[to] = from;
        }
      }
  });
}

void non_max_suppression(const KernelContext& c) {
  const Shape& scores_shape = c.shape(1);
  if (c.shape(0).size() != 3 || scores_shape.size() != 3 || c.shape(0)[2] != 4 ||
      c.shape(0)[1] != scores_shape[2] || c.shape(0)[0] != scores_shape[0]) {
    c.fail("wants boxes [batch, n, 4] and scores [batch, classes, n]");
  }
  const std::int64_t limit = c.has(2) ? *c.data<std::int64_t>(2) : 0;
  const float max_iou = c.has(3) ? *c.data<float>(3) : 0.0F;
  const bool centred = c.attributes().get_int("center_point_box", 0) != 0;
  const std::int64_t boxes = scores_shape[2];
  Ints selected;
  std::vector<std::int64_t> order;
  for (std::int64_t batch = 0; batch < scores_shape[0]; ++batch)
    for (std::int64_t label = 0; label < scores_shape[1]; ++label) {
      const float* scores = c.data<float>(1) + (batch * scores_shape[1] + label) * boxes;
      order.clear();
      for (std::int64_t i = 0; i < boxes; ++i) {
        if (c.has(5) && c.data<std::int64_t>(5)[i] < 0) continue;  // no box
        if (!c.has(4) || scores[i] > *c.data<float>(4)) order.push_back(i);
      }
      std::stable_sort(order.begin(), order.end(),
                       [&](std::int64_t a, std::int64_t b) { return scores[a] > scores[b]; });
      std::vector<Corners> kept;
      for (const std::int64_t i : order) {
        if (static_cast<std::int64_t>(kept.size()) >= limit) break;
        const Corners box = corners_of(c.data<float>(0) + (batch * boxes + i) * 4, centred);
        const bool clashes = std::any_of(kept.begin(), kept.end(), [&](const Corners& other) {
          return overlap(box, other) > max_iou;
        });
        if (clashes) continue;
        kept.push_back(box);
        selected.insert(selected.end(), {batch, label, i});
      }
    }
  if (c.attributes().get_int(kBoundedAttribute, 0) != 0) {
    selected.resize(static_cast<std::size_t>(c.out().size()), -1);
  }
  c.out() = Tensor::of<std::int64_t>(selected, {static_cast<std::int64_t>(selected.size()) / 3, 3});
}

}  // namespace kernels
}  // namespace peregrine::model::reference
