// SPDX-License-Identifier: Apache-2.0
// Op::kBoxDecode, ours: what YOLOv8 to v12 predict, as boxes and scores. Inputs:
// - logits [batch, 4 * bins, anchors]: how likely each distance to the left, top, right, bottom is
// - anchors [4, anchors]: x and y in cells that left and top count from, then right and bottom
// - strides [anchors]: pixels of a cell
// - bins [bins]: the distances, mostly 0, 1, 2, ...
// - scores [batch, classes, anchors], may be absent
// Output [batch, 4 + classes, anchors]: centre x, centre y, width, height (with `corners` 1: left,
// top, right, bottom) in pixels, then sigmoid(scores). A distance is the softmax over its bins
// times their values (Li et al., "Generalized Focal Loss", 2020).
#include <algorithm>
#include <cmath>

#include "model/reference/kernel.h"

namespace peregrine::model::reference::kernels {

void box_decode(const KernelContext& c) {
  const std::int64_t batch = c.shape(0)[0], count = c.shape(0)[2], bins = c.shape(0)[1] / 4;
  const std::int64_t classes = c.has(4) ? c.shape(4)[1] : 0;
  const bool corners = c.attributes().get_int("corners", 0) != 0;
  with_float_type(c, c.in(0).dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* values = c.data<T>(3);
    for (std::int64_t i = 0; i < batch * count; ++i) {
      const std::int64_t image = i / count, at = i % count;
      T distance[4];
      for (std::int64_t side = 0; side < 4; ++side) {
        const T* x = c.data<T>(0) + (image * 4 + side) * bins * count + at;
        T best = x[0], sum = 0, expected = 0;
        for (std::int64_t k = 1; k < bins; ++k) best = std::max(best, x[k * count]);
        for (std::int64_t k = 0; k < bins; ++k) {
          const T share = std::exp(x[k * count] - best);
          sum += share;
          expected += share * values[k];
        }
        distance[side] = expected / sum;
      }
      T* y = c.result<T>() + image * (4 + classes) * count + at;
      for (std::int64_t axis = 0; axis < 2; ++axis) {
        const T stride = c.data<T>(2)[at];
        const T low = c.data<T>(1)[axis * count + at] - distance[axis];
        const T high = c.data<T>(1)[(axis + 2) * count + at] + distance[axis + 2];
        y[axis * count] = (corners ? low : (low + high) / 2) * stride;
        y[(axis + 2) * count] = (corners ? high : high - low) * stride;
      }
      for (std::int64_t k = 0; k < classes; ++k) {
        const T x = c.data<T>(4)[(image * classes + k) * count + at];
        y[(4 + k) * count] = 1 / (1 + std::exp(-x));
      }
    }
  });
}

}  // namespace peregrine::model::reference::kernels
