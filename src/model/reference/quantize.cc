// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <fmt/format.h>

#include "model/convert.h"
#include "model/reference/kernel.h"
#include "model/shape_rules.h"

namespace peregrine::model::reference::kernels {
namespace {

// Which entry of scale and zero point belongs to an element: one for all, or one a slice of an
// axis.
struct Slices {
  std::int64_t count = 1, inner = 1;
  std::size_t of(std::int64_t i) const { return static_cast<std::size_t>(i / inner % count); }
};

Slices slices_of(const KernelContext& c) {
  const std::int64_t entries = c.in(1).size();
  if (entries == 1) return {};
  const AxisView x = axis_view(c.shape(0), c.attributes().get_int("axis", 1));
  if (x.extent != entries || c.shape(1).size() != 1) {
    c.fail(fmt::format("has {} scales for an axis of {}", entries, x.extent));
  }
  return {entries, x.inner};
}

Floats zero_points(const KernelContext& c) {
  Floats zeros(static_cast<std::size_t>(c.in(1).size()), 0.0F);
  if (c.has(2) && c.in(2).size() == c.in(1).size()) zeros = to_floats(c.in(2));
  return zeros;
}

// Each element as `f(value, scale, zero point)`, then in the result's type.
template <typename F>
void rescale(const KernelContext& c, bool saturate, F&& f) {
  const Slices slices = slices_of(c);
  const Floats scales = to_floats(c.in(1));
  const Floats zeros = zero_points(c);
  Tensor wide = convert(c.in(0), DType::kFloat32);
  const auto values = wide.as<float>();
  for (std::int64_t i = 0; i < wide.size(); ++i) {
    float& value = values[static_cast<std::size_t>(i)];
    value = f(value, scales[slices.of(i)], zeros[slices.of(i)]);
  }
  c.out() = convert(wide, c.out().dtype(), saturate);
}

}  // namespace

void dequantize(const KernelContext& c) {
  rescale(c, false, [](float x, float scale, float zero) { return (x - zero) * scale; });
}

void quantize(const KernelContext& c) {
  rescale(c, true,
          [](float x, float scale, float zero) { return std::nearbyint(x / scale) + zero; });
}

}  // namespace peregrine::model::reference::kernels
