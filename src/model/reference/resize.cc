// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "model/reference/kernel.h"
#include "model/resize_taps.h"
#include "model/shape_rules.h"

namespace peregrine::model::reference {
namespace {

// Resamples one axis of `x` (viewed as outer, extent, inner).
template <typename T>
std::vector<T> resample(const std::vector<T>& x, const AxisView& view,
                        const std::vector<ResizePosition>& positions, T outside_value) {
  std::vector<T> y(static_cast<std::size_t>(view.outer * view.inner) * positions.size());
  auto to = y.begin();
  for (std::int64_t outer = 0; outer < view.outer; ++outer)
    for (const ResizePosition& position : positions)
      for (std::int64_t i = 0; i < view.inner; ++i) {
        double sum = 0;
        for (const ResizeTap& source : position.taps) {
          const auto at = (outer * view.extent + source.index) * view.inner + i;
          sum += source.weight * static_cast<double>(x[static_cast<std::size_t>(at)]);
        }
        *to++ = position.outside ? outside_value : static_cast<T>(sum);
      }
  return y;
}

}  // namespace

namespace kernels {

void resize(const KernelContext& c) {
  const bool crops = c.attributes().get_string("coordinate_transformation_mode", "half_pixel") ==
                     "tf_crop_and_resize";
  const ResizeGeometry g = resize_geometry(
      c.node, c.shape(0), crops && c.has(1) ? to_floats(c.in(1)) : Floats(),
      c.has(2) ? to_floats(c.in(2)) : Floats(), c.has(3) ? to_ints(c.in(3)) : Ints());
  const float extrapolation = c.attributes().get_float("extrapolation_value", 0.0F);
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    std::vector<T> values(c.data<T>(0), c.data<T>(0) + c.in(0).size());
    Shape shape = c.shape(0);
    for (std::size_t axis = 0; axis < shape.size() && !values.empty(); ++axis) {
      if (resize_keeps(c.node, g, axis, shape[axis])) continue;
      values = resample(values, axis_view(shape, static_cast<std::int64_t>(axis)),
                        resize_positions(c.node, g, axis, shape[axis]),
                        static_cast<T>(extrapolation));
      shape[axis] = g.output[axis];
    }
    std::copy(values.begin(), values.end(), c.result<T>());
  });
}

}  // namespace kernels
}  // namespace peregrine::model::reference
