// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/ops/remap.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "engine/cuda/ops/indexing.h"
#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/requirements.h"
#include "model/convert.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;
using model::Ints;
using model::Node;
using model::Value;

namespace {

// positions[i] = start + i * step: a slice.
struct Even {
  std::int64_t start = 0, step = 1;
};
std::optional<Even> evenly_spaced(const std::vector<std::int32_t>& positions) {
  if (positions.empty() || positions[0] < 0) return std::nullopt;
  const std::int64_t step = positions.size() > 1 ? positions[1] - positions[0] : 1;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const std::int64_t wanted = positions[0] + static_cast<std::int64_t>(i) * step;
    if (wanted < 0 || positions[i] != wanted) return std::nullopt;
  }
  return Even{positions[0], step};
}

// positions[i] = i / times, each as often: an upsampling. 0 when it is not so.
std::int64_t repetition(const std::vector<std::int32_t>& positions) {
  const auto times =
      std::find_if(positions.begin(), positions.end(), [](auto p) { return p != 0; }) -
      positions.begin();
  const auto count = static_cast<std::int64_t>(positions.size());
  if (times == 0 || count % times != 0) return 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (positions[static_cast<std::size_t>(i)] != i / times) return 0;
  }
  return times;
}

// Splits the axis of both operands so that the repeated positions become an axis of stride 0.
void repeat_axis(Operand& from, Operand& place, std::size_t axis, std::int64_t times) {
  const auto at = static_cast<std::ptrdiff_t>(axis);
  const std::int64_t count = place.shape[axis] / times;
  from.shape[axis] = place.shape[axis] = count;
  from.shape.insert(from.shape.begin() + at + 1, times);
  place.shape.insert(place.shape.begin() + at + 1, times);
  from.strides.insert(from.strides.begin() + at + 1, 0);
  place.strides.insert(place.strides.begin() + at + 1, place.strides[axis]);
  place.strides[axis] *= times;
}

void emit_tables(Lowering& to, const Node& node, const Operand& from, const Operand& place,
                 const std::vector<AxisTable>& tables, std::uint64_t fill) {
  std::vector<std::int32_t> all;
  Ints axes, starts;
  for (const AxisTable& table : tables) {
    axes.push_back(static_cast<std::int64_t>(table.axis));
    starts.push_back(static_cast<std::int64_t>(all.size()));
    all.insert(all.end(), table.positions.begin(), table.positions.end());
  }
  Step step = to.step("remap", node);
  const auto count = static_cast<std::int64_t>(all.size());
  step.inputs = {from, to.weight(Tensor::of<std::int32_t>(all, {count}))};
  step.outputs = {place};
  step.attributes.set("axes", axes);
  step.attributes.set("starts", starts);
  step.attributes.set("fill", static_cast<std::int64_t>(fill));
  to.emit(std::move(step));
}

}  // namespace

void emit_remap(Lowering& to, const Node& node, const Value* x, const Value* y,
                std::vector<AxisTable> tables, std::uint64_t fill) {
  const Operand result = to.write(y);
  if (is_empty(result)) return;
  Operand from = to.read(x);
  // Slices go into the operand; what is left needs a table or repeats.
  std::erase_if(tables, [&](const AxisTable& table) {
    const auto even = evenly_spaced(table.positions);
    if (!even) return false;
    from = sliced(from, table.axis, even->start, even->step,
                  static_cast<std::int64_t>(table.positions.size()));
    return true;
  });
  const auto repeats = [](const AxisTable& table) { return repetition(table.positions) > 0; };
  if (std::all_of(tables.begin(), tables.end(), repeats)) {
    Operand place = result;
    std::sort(tables.begin(), tables.end(),
              [](const AxisTable& a, const AxisTable& b) { return a.axis > b.axis; });
    for (const AxisTable& table : tables) {
      repeat_axis(from, place, table.axis, repetition(table.positions));
    }
    return emit_copy(to, node, std::move(from), std::move(place));
  }
  if (from.dtype != result.dtype) {
    from = to.copied(from, result.dtype, packed_strides(from.shape));
  }
  for (std::size_t done = 0; done < tables.size(); done += RemapParams::kMaxTables) {
    const std::size_t end = std::min(done + RemapParams::kMaxTables, tables.size());
    const std::vector<AxisTable> part(tables.begin() + static_cast<std::ptrdiff_t>(done),
                                      tables.begin() + static_cast<std::ptrdiff_t>(end));
    Operand place = result;
    if (end < tables.size()) {
      Shape shape = from.shape;
      for (const AxisTable& table : part) shape[table.axis] = result.shape[table.axis];
      place = to.scratch(result.dtype, shape);
    }
    require_walkable(node, from);
    require_walkable(node, place);
    emit_tables(to, node, from, place, part, fill);
    from = place;
  }
}

std::uint64_t element_bits(const Tensor& value, DType dtype) {
  const Tensor converted = model::convert(value, dtype);
  std::uint64_t bits = 0;
  std::memcpy(&bits, converted.data(), size_of(dtype));
  return bits;
}

RemapParams remap_params(const BoundStep& step) {
  const TensorView& from = step.input(0);
  const TensorView& to = step.output();
  const Ints axes = step.step.attributes.get_ints("axes");
  const Ints starts = step.step.attributes.get_ints("starts");
  RemapParams p;
  p.input = from.data;
  p.output = to.data;
  p.tables = static_cast<const std::int32_t*>(step.input(1).data);
  p.table_count = static_cast<std::int32_t>(axes.size());
  const std::size_t bytes = size_of(to.dtype);
  p.unit_bytes = static_cast<int>(bytes);
  const auto fill = static_cast<std::uint64_t>(step.step.attributes.get_int("fill", 0));
  for (std::size_t i = 0; i < sizeof(p.fill); i += bytes) {
    std::memcpy(reinterpret_cast<char*>(&p.fill) + i, &fill, bytes);
  }
  Shape input_strides = from.strides;
  const Shape still(from.shape.size(), 0);
  Shape positions[RemapParams::kMaxTables] = {still, still, still, still};
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<std::size_t>(axes[k]);
    p.table_start[k] = static_cast<std::int32_t>(starts[k]);
    p.stride[k] = checked_int32(from.strides[axis]);
    input_strides[axis] = 0;
    positions[k][axis] = 1;
  }
  p.walk = make_walk(to.shape, {to.strides, input_strides, positions[0], positions[1], positions[2],
                                positions[3]});
  return widened(p);
}

void run_remap(const BoundStep& step) {
  launch_remap(remap_params(step), step.overlapped, step.stream);
}

}  // namespace peregrine::cuda
