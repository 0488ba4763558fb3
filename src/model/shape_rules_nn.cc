// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "model/einsum.h"
#include "model/geometry.h"
#include "model/shape_rules.h"

namespace peregrine::model::rules {
namespace {

Shape spatial_shape(std::int64_t batch, std::int64_t channels, const Ints& spatial) {
  Shape shape{batch, channels};
  shape.insert(shape.end(), spatial.begin(), spatial.end());
  return shape;
}

void check_bias(RuleContext& c, int index, std::int64_t channels) {
  if (c.has(index) && c.shape(index) != Shape{channels}) {
    c.fail(fmt::format("has bias {} for {} channels", to_string(c.shape(index)), channels));
  }
}

}  // namespace

void conv(RuleContext& c) {
  const ConvGeometry g = conv_geometry(c.node(), c.shape(0), c.shape(1));
  check_bias(c, 2, g.channels_out);
  c.set(0, c.dtype(0), spatial_shape(g.batch, g.channels_out, g.window.output));
}

void conv_transpose(RuleContext& c) {
  const ConvGeometry g = conv_transpose_geometry(c.node(), c.shape(0), c.shape(1));
  check_bias(c, 2, g.channels_out);
  c.set(0, c.dtype(0), spatial_shape(g.batch, g.channels_out, g.window.output));
}

void matmul(RuleContext& c) {
  Shape a = c.shape(0);
  Shape b = c.shape(1);
  if (a.empty() || b.empty()) c.fail("multiplies a scalar");
  const bool row = a.size() == 1;
  const bool column = b.size() == 1;
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  const std::int64_t m = a[a.size() - 2];
  const std::int64_t n = b.back();
  if (a.back() != b[b.size() - 2] || c.dtype(0) != c.dtype(1)) {
    c.fail(fmt::format("multiplies {} {} by {} {}", to_string(c.dtype(0)), to_string(c.shape(0)),
                       to_string(c.dtype(1)), to_string(c.shape(1))));
  }
  Shape result = model::broadcast(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  check_bias(c, 2, n);
  if (!row) result.push_back(m);
  if (!column) result.push_back(n);
  c.set(0, c.dtype(0), std::move(result));
}

void gemm(RuleContext& c) {
  const bool transpose_a = c.attributes().get_int("transA", 0) != 0;
  const bool transpose_b = c.attributes().get_int("transB", 0) != 0;
  if (c.rank(0) != 2 || c.rank(1) != 2) c.fail("wants two matrices");
  const Shape& a = c.shape(0);
  const Shape& b = c.shape(1);
  if (a[transpose_a ? 0 : 1] != b[transpose_b ? 1 : 0]) {
    c.fail(fmt::format("multiplies {} by {}", to_string(a), to_string(b)));
  }
  const Shape result{a[transpose_a ? 1 : 0], b[transpose_b ? 0 : 1]};
  if (c.has(2) && model::broadcast(c.shape(2), result) != result) {
    c.fail(fmt::format("adds {} to {}", to_string(c.shape(2)), to_string(result)));
  }
  c.set(0, c.dtype(0), result);
}

void einsum(RuleContext& c) {
  std::vector<Shape> shapes;
  for (int i = 0; i < c.input_count(); ++i) shapes.push_back(c.shape(i));
  const Einsum parsed = parse_einsum(c.attributes().get_string("equation", ""), shapes);
  Shape result;
  for (const int label : parsed.output) {
    result.push_back(parsed.extent[static_cast<std::size_t>(label)]);
  }
  c.set(0, c.dtype(0), std::move(result));
}

void pool(RuleContext& c) {
  const Window window = pool_window(c.node(), c.shape(0));
  const Shape result = spatial_shape(c.shape(0)[0], c.shape(0)[1], window.output);
  c.set(0, c.dtype(0), result);
  c.set(1, DType::kInt64, result);
}

void global_pool(RuleContext& c) {
  Shape result = c.shape(0);
  if (result.size() < 2) c.fail("pools without spatial axes");
  std::fill(result.begin() + 2, result.end(), 1);
  c.set(0, c.dtype(0), std::move(result));
}

void layer_normalization(RuleContext& c) {
  const std::int64_t axis = wrap_axis(c.attributes().get_int("axis", -1), c.rank(0));
  Shape statistics = c.shape(0);
  std::fill(statistics.begin() + axis, statistics.end(), 1);
  c.set(0, c.dtype(0), c.shape(0));
  c.set(1, DType::kFloat32, statistics);
  c.set(2, DType::kFloat32, statistics);
}

void resize(RuleContext& c) {
  const bool crops = c.attributes().get_string("coordinate_transformation_mode", "half_pixel") ==
                     "tf_crop_and_resize";
  const auto geometry =
      resize_geometry(c.node(), c.shape(0), crops ? c.floats(1) : Floats(), c.floats(2), c.ints(3));
  c.set(0, c.dtype(0), geometry.output);
}

void grid_sample(RuleContext& c) {
  const Shape& x = c.shape(0);
  const Shape& grid = c.shape(1);
  const bool fits = (x.size() == 4 || x.size() == 5) && grid.size() == x.size() &&
                    grid[0] == x[0] && grid.back() == c.rank(0) - 2;
  if (!fits) c.fail(fmt::format("samples {} by grid {}", to_string(x), to_string(grid)));
  c.set(0, c.dtype(0), spatial_shape(x[0], x[1], Ints(grid.begin() + 1, grid.end() - 1)));
}

void roi_align(RuleContext& c) {
  if (c.rank(0) != 4 || c.rank(1) != 2) c.fail("wants NCHW and boxes [n, 4]");
  const std::int64_t height = c.attributes().get_int("output_height", 1);
  const std::int64_t width = c.attributes().get_int("output_width", 1);
  c.set(0, c.dtype(0), {c.shape(1)[0], c.shape(0)[1], height, width});
}

void box_decode(RuleContext& c) {
  const Shape& x = c.shape(0);
  if (x.size() != 3 || x[1] != 4 * element_count(c.shape(3)) || c.shape(1) != Shape{4, x[2]} ||
      (c.has(4) && (c.rank(4) != 3 || c.shape(4)[0] != x[0] || c.shape(4)[2] != x[2]))) {
    c.fail("has operands that do not fit together");
  }
  c.set(0, c.dtype(0), {x[0], 4 + (c.has(4) ? c.shape(4)[1] : 0), x[2]});
}

}  // namespace peregrine::model::rules
