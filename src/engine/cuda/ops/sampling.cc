// SPDX-License-Identifier: Apache-2.0
// Ops that read pictures at computed places: Resize, GridSample, RoiAlign.
#include "engine/cuda/ops/sampling.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/remap.h"
#include "engine/cuda/ops/requirements.h"
#include "model/resize_taps.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Ints;
using model::Node;
using model::ResizePosition;
using model::ResizeTap;

namespace {

struct ResizedAxis {
  std::size_t axis;
  std::vector<ResizePosition> positions;
};

model::ResizeGeometry geometry_of(Lowering& to, const Node& node) {
  const bool crops = node.attributes.get_string("coordinate_transformation_mode", "half_pixel") ==
                     "tf_crop_and_resize";
  const auto floats = [&](int i) {
    return node.has_input(i) ? to.floats(node, i) : std::vector<float>();
  };
  return model::resize_geometry(node, node.input(0)->shape, crops ? floats(1) : model::Floats(),
                                floats(2), node.has_input(3) ? to.ints(node, 3) : Ints());
}

void lower_nearest(Lowering& to, const Node& node, const std::vector<ResizedAxis>& axes) {
  std::vector<AxisTable> tables;
  for (const ResizedAxis& each : axes) {
    AxisTable& table = tables.emplace_back(AxisTable{each.axis, {}});
    for (const ResizePosition& position : each.positions) {
      table.positions.push_back(
          position.outside ? -1 : static_cast<std::int32_t>(position.taps[0].index));
    }
  }
  const float outside = node.attributes.get_float("extrapolation_value", 0.0F);
  emit_remap(to, node, node.input(0), node.output(), std::move(tables),
             element_bits(Tensor::of<float>({&outside, 1}, {1}), to.dtype(node.output())));
}

bool reads_only(const ResizePosition& position, std::int64_t index) {
  constexpr double kNothing = 1e-9;  // cubic weights of whole distances are sums that cancel
  return !position.outside &&
         std::all_of(position.taps.begin(), position.taps.end(), [&](const ResizeTap& tap) {
           return tap.index == index || std::abs(tap.weight) < kNothing;
         });
}

// Positions and weights of all axes one after the other, each axis padded to its most taps.
struct TapTables {
  std::vector<std::int32_t> positions;
  std::vector<float> weights;
  Ints axes, taps, starts;
};

TapTables tap_tables(const std::vector<ResizedAxis>& resized) {
  TapTables tables;
  for (const ResizedAxis& each : resized) {
    std::size_t taps = 1;
    for (const ResizePosition& position : each.positions) {
      taps = std::max(taps, position.taps.size());
    }
    tables.axes.push_back(static_cast<std::int64_t>(each.axis));
    tables.taps.push_back(static_cast<std::int64_t>(taps));
    tables.starts.push_back(static_cast<std::int64_t>(tables.positions.size()));
    for (const ResizePosition& position : each.positions) {
      for (std::size_t t = 0; t < taps; ++t) {
        const bool padding = t >= position.taps.size();
        const ResizeTap tap =
            padding ? ResizeTap{position.taps.back().index, 0.0} : position.taps[t];
        tables.positions.push_back(position.outside ? -1 : static_cast<std::int32_t>(tap.index));
        tables.weights.push_back(static_cast<float>(tap.weight));
      }
    }
  }
  return tables;
}

}  // namespace

void lower_resize(Lowering& to, const Node& node) {
  const model::Value* x = node.input(0);
  const Operand result = to.write(node.output());
  if (is_empty(result)) return;
  const model::ResizeGeometry geometry = geometry_of(to, node);
  std::vector<ResizedAxis> resized;
  for (std::size_t axis = 0; axis < x->shape.size(); ++axis) {
    if (model::resize_keeps(node, geometry, axis, x->shape[axis])) continue;
    resized.push_back({axis, model::resize_positions(node, geometry, axis, x->shape[axis])});
  }
  // tf_crop_and_resize names every axis: those that read straight through need no taps.
  std::erase_if(resized, [&](const ResizedAxis& each) {
    if (geometry.output[each.axis] != x->shape[each.axis]) return false;
    std::int64_t at = 0;
    return std::all_of(each.positions.begin(), each.positions.end(),
                       [&](const auto& position) { return reads_only(position, at++); });
  });
  if (node.attributes.get_string("mode", "nearest") == "nearest") {
    return lower_nearest(to, node, resized);
  }
  require_float(node, to.read(x), "input");
  if (resized.empty()) return emit_copy(to, node, to.read(x), result);
  if (resized.size() > static_cast<std::size_t>(ResizeParams::kMaxAxes)) {
    Lowering::refuse(node, fmt::format("it interpolates along {} axes (at most {} are supported)",
                                       resized.size(), ResizeParams::kMaxAxes));
  }
  const Operand from = read_as(to, node, x, result.dtype);
  require_walkable(node, from);
  require_walkable(node, result);
  const TapTables tables = tap_tables(resized);
  const auto count = static_cast<std::int64_t>(tables.positions.size());
  Step step = to.step("resize", node);
  step.inputs = {from, to.weight(Tensor::of<std::int32_t>(tables.positions, {count})),
                 to.weight(Tensor::of<float>(tables.weights, {count}))};
  step.outputs = {result};
  step.attributes.set("axes", tables.axes);
  step.attributes.set("taps", tables.taps);
  step.attributes.set("starts", tables.starts);
  step.attributes.set("extrapolation", node.attributes.get_float("extrapolation_value", 0.0F));
  to.emit(std::move(step));
}

void lower_grid_sample(Lowering& to, const Node& node) {
  const std::string mode = node.attributes.get_string("mode", "linear");
  const std::string padding = node.attributes.get_string("padding_mode", "zeros");
  SampleMode kind = SampleMode::kLinear;
  if (mode == "nearest") {
    kind = SampleMode::kNearest;
  } else if (mode == "cubic") {
    kind = SampleMode::kCubic;
  } else if (mode != "linear") {
    Lowering::refuse(node,
                     fmt::format("its mode is '{}' (supported: linear, nearest, cubic)", mode));
  }
  const Operand result = to.write(node.output());
  require_float(node, to.read(node.input(0)), "input");
  const Operand from = read_as(to, node, node.input(0), result.dtype);
  const Operand grid = to.read(node.input(1));
  require_float(node, grid, "grid");
  for (const Operand* each : {&from, &grid, &result}) require_walkable(node, *each);
  if (is_empty(result)) return;
  Step step = to.step("grid_sample", node);
  step.inputs = {from, grid};
  step.outputs = {result};
  step.attributes.set("mode", static_cast<std::int64_t>(kind));
  step.attributes.set(
      "padding", static_cast<std::int64_t>(padding == "border"       ? SamplePadding::kBorder
                                           : padding == "reflection" ? SamplePadding::kReflection
                                                                     : SamplePadding::kZeros));
  step.attributes.set("align_corners", node.attributes.get_int("align_corners", 0));
  to.emit(std::move(step));
}

void lower_roi_align(Lowering& to, const Node& node) {
  const Operand result = to.write(node.output());
  require_float(node, to.read(node.input(0)), "input");
  const Operand from = read_as(to, node, node.input(0), result.dtype);
  const Operand boxes = to.read(node.input(1)), pictures = to.read(node.input(2));
  require_float(node, boxes, "rois");
  require_index(node, pictures);
  for (const Operand* each : {&from, &boxes, &result}) require_walkable(node, *each);
  if (is_empty(result)) return;
  Step step = to.step("roi_align", node);
  step.inputs = {from, boxes, pictures};
  step.outputs = {result};
  const auto text = [&](const char* name, const char* otherwise) {
    return node.attributes.get_string(name, otherwise);
  };
  step.attributes.set("half_pixel", std::int64_t{text("coordinate_transformation_mode",
                                                      "half_pixel") == "half_pixel"});
  step.attributes.set("average", std::int64_t{text("mode", "avg") == "avg"});
  step.attributes.set("scale", node.attributes.get_float("spatial_scale", 1.0F));
  step.attributes.set("samples", node.attributes.get_int("sampling_ratio", 0));
  to.emit(std::move(step));
}

ResizeParams resize_params(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const TensorView& to = step.output();
  const model::Attributes& attributes = step.step.attributes;
  const Ints axes = attributes.get_ints("axes"), taps = attributes.get_ints("taps"),
             starts = attributes.get_ints("starts");
  ResizeParams p;
  p.input = from.data;
  p.output = to.data;
  p.positions = static_cast<const std::int32_t*>(step.input(1).data);
  p.weights = static_cast<const float*>(step.input(2).data);
  p.dtype = to.dtype;
  p.axes = static_cast<std::int32_t>(axes.size());
  p.extrapolation = attributes.get_float("extrapolation", 0.0F);
  Shape input = from.strides;
  const Shape still(from.shape.size(), 0);
  Shape positions[ResizeParams::kMaxAxes] = {still, still, still};
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<std::size_t>(axes[k]);
    p.taps[k] = static_cast<std::int32_t>(taps[k]);
    p.table_start[k] = static_cast<std::int32_t>(starts[k]);
    p.stride[k] = checked_int32(from.strides[axis]);
    input[axis] = 0;
    positions[k][axis] = 1;
  }
  p.walk = make_walk(to.shape, {to.strides, input, positions[0], positions[1], positions[2]});
  const std::size_t bytes = size_of(to.dtype);
  const int whole = static_cast<int>(16 / bytes);
  p.vectors = vector_width(p.walk, 2, whole, {{p.input, bytes}, {p.output, bytes}},
                           std::span(p.stride, axes.size())) == whole;
  if (p.vectors) p.walk = widened(p.walk, 2, whole, false);
  return p;
}

GridSampleParams grid_sample_params(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const TensorView& grid = step.input(1);
  const TensorView& to = step.output();
  GridSampleParams p;
  p.input = from.data;
  p.grid = grid.data;
  p.output = to.data;
  p.dtype = to.dtype;
  p.half_grid = grid.dtype == DType::kFloat16;
  p.mode = static_cast<SampleMode>(step.step.attributes.get_int("mode", 0));
  p.padding = static_cast<SamplePadding>(step.step.attributes.get_int("padding", 0));
  p.align_corners = step.step.attributes.get_int("align_corners", 0) != 0;
  p.axes = from.rank() - 2;
  for (std::size_t k = 0; k < static_cast<std::size_t>(p.axes); ++k) {
    const std::size_t axis = from.shape.size() - 1 - k;
    p.size[k] = checked_int32(from.shape[axis]);
    p.stride[k] = checked_int32(from.strides[axis]);
  }
  p.entry_stride = checked_int32(grid.strides.back());
  p.channels = checked_int32(from.shape[1]);
  p.input_channel_stride = checked_int32(from.strides[1]);
  p.output_channel_stride = checked_int32(to.strides[1]);
  const auto whole = static_cast<std::int64_t>(16 / size_of(p.dtype));
  const auto aligned = [&](const TensorView& view) {
    std::uint64_t all = reinterpret_cast<std::uintptr_t>(view.data) / size_of(view.dtype);
    for (std::size_t i = 0; i < view.strides.size(); ++i) {
      if (i != 1 && view.shape[i] != 1) all |= static_cast<std::uint64_t>(view.strides[i]);
    }
    return view.strides[1] == 1 && all % static_cast<std::uint64_t>(whole) == 0;
  };
  p.vectors = p.channels % whole == 0 && aligned(from) && aligned(to);
  // [batch, groups of channels, points...]
  const std::int64_t width = channels_a_thread(p);
  Shape shape = to.shape, output = to.strides;
  shape[1] = (shape[1] + width - 1) / width;
  output[1] *= width;
  Shape input(shape.size(), 0), places(grid.strides.begin(), grid.strides.end() - 1);
  input[0] = from.strides[0];
  input[1] = from.strides[1] * width;
  places.insert(places.begin() + 1, 0);
  Shape channel(shape.size(), 0);
  channel[1] = width;
  p.walk = make_walk(shape, {output, input, places, channel});
  return p;
}

RoiAlignParams roi_align_params(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const TensorView& boxes = step.input(1);
  const TensorView& to = step.output();
  const model::Attributes& attributes = step.step.attributes;
  RoiAlignParams p;
  p.input = from.data;
  p.boxes = boxes.data;
  p.pictures = step.input(2).data;
  p.output = to.data;
  p.dtype = to.dtype;
  p.half_boxes = boxes.dtype == DType::kFloat16;
  p.wide = step.input(2).dtype == DType::kInt64;
  p.half_pixel = attributes.get_int("half_pixel", 1) != 0;
  p.average = attributes.get_int("average", 1) != 0;
  p.scale = attributes.get_float("scale", 1.0F);
  p.samples = checked_int32(attributes.get_int("samples", 0));
  p.batch = checked_int32(from.shape[0]);
  p.height = checked_int32(from.shape[2]);
  p.width = checked_int32(from.shape[3]);
  p.rows = checked_int32(to.shape[2]);
  p.columns = checked_int32(to.shape[3]);
  p.picture_stride = checked_int32(from.strides[0]);
  p.row_stride = checked_int32(from.strides[2]);
  p.column_stride = checked_int32(from.strides[3]);
  p.entry_stride = checked_int32(boxes.strides[1]);
  p.walk = make_walk(to.shape, {to.strides,
                                {0, from.strides[1], 0, 0},
                                {boxes.strides[0], 0, 0, 0},
                                {step.input(2).strides[0], 0, 0, 0},
                                {0, 0, 1, 0},
                                {0, 0, 0, 1}});
  return p;
}

void run_resize(const BoundStep& step) {
  launch_resize(resize_params(step), step.overlapped, step.stream);
}
void run_grid_sample(const BoundStep& step) {
  launch_grid_sample(grid_sample_params(step), step.overlapped, step.stream);
}
void run_roi_align(const BoundStep& step) {
  launch_roi_align(roi_align_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
