// SPDX-License-Identifier: Apache-2.0
// Einsum of two operands as one batched product: every letter is a batch, a row, a column or summed
// axis of strided matrices. Of one operand it is a sum, or moves only. A letter twice in one
// operand is its diagonal: a sum of strides.
#include "model/einsum.h"

#include <algorithm>

#include "engine/cuda/kernels/loop_nest.h"
#include "engine/cuda/ops/operands.h"
#include "engine/cuda/ops/product.h"
#include "engine/cuda/ops/requirements.h"
#include "engine/cuda/ops/rows.h"
#include "peregrine/error.h"

namespace peregrine::cuda {

using compiler::Operand;
using model::Einsum;
using model::Node;

namespace {

// Strides of every letter in one operand, 0 where it does not occur or is broadcast.
Shape letter_strides(const Operand& operand, const std::vector<int>& letters, std::size_t count) {
  Shape strides(count, 0);
  for (std::size_t i = 0; i < letters.size(); ++i) {
    if (operand.shape[i] != 1) strides[static_cast<std::size_t>(letters[i])] += operand.strides[i];
  }
  return strides;
}

bool has(const std::vector<int>& letters, int letter) {
  return std::find(letters.begin(), letters.end(), letter) != letters.end();
}

// One axis of the product and its strides in a, b and y.
struct Axis {
  std::int64_t extent = 1;
  std::int64_t strides[3] = {};
};
struct Axes {
  std::vector<Axis> batch, rows, columns, summed;
};

// Letters of one role; neighbours that lie in one order everywhere become one axis.
struct Part {
  Shape extents;
  Shape strides[3];

  void add(std::int64_t extent, const Shape (&of)[3], std::size_t letter) {
    extents.push_back(extent);
    for (int i = 0; i < 3; ++i) strides[i].push_back(of[i][letter]);
  }
  std::vector<Axis> merged() const {
    const LoopNest nest = merge_dimensions(extents, strides);
    std::vector<Axis> axes(nest.extents.size());
    for (std::size_t d = 0; d < axes.size(); ++d) {
      axes[d].extent = nest.extents[d];
      for (std::size_t i = 0; i < 3; ++i) axes[d].strides[i] = nest.strides[i][d];
    }
    return axes;
  }
};

Axes classify(const Einsum& e, const Operand& a, const Operand& b, const Operand& y) {
  const std::size_t count = e.extent.size();
  const Shape strides[] = {letter_strides(a, e.inputs[0], count),
                           letter_strides(b, e.inputs[1], count),
                           letter_strides(y, e.output, count)};
  Part batch, rows, columns, summed;
  // In the output's order, then the order of the letters: neighbours merge.
  std::vector<int> order = e.output;
  for (int letter = 0; letter < static_cast<int>(count); ++letter) {
    if (!has(order, letter)) order.push_back(letter);
  }
  for (const int letter : order) {
    const auto i = static_cast<std::size_t>(letter);
    if (e.extent[i] == 1) continue;
    const bool out = has(e.output, letter);
    const bool left = has(e.inputs[0], letter), right = has(e.inputs[1], letter);
    Part& part = !out ? summed : left && right ? batch : left ? rows : columns;
    part.add(e.extent[i], strides, i);
  }
  return {batch.merged(), rows.merged(), columns.merged(), summed.merged()};
}

// The longest of the axes; the rest become batch axes, which any axis of the output may be.
Axis take_one(std::vector<Axis>& from, std::vector<Axis>& rest) {
  if (from.empty()) return {};
  const auto largest = std::max_element(
      from.begin(), from.end(), [](const Axis& x, const Axis& y) { return x.extent < y.extent; });
  const Axis one = *largest;
  from.erase(largest);
  rest.insert(rest.end(), from.begin(), from.end());
  return one;
}

Operand as_matrix(const Operand& operand, const std::vector<Axis>& batch, std::size_t index,
                  const Axis& rows, const Axis& columns) {
  Operand matrix = operand;
  matrix.shape.clear();
  matrix.strides.clear();
  for (auto axis = batch.rbegin(); axis != batch.rend(); ++axis) {
    matrix.shape.push_back(axis->extent);
    matrix.strides.push_back(axis->strides[index]);
  }
  for (const Axis* axis : {&rows, &columns}) {
    matrix.shape.push_back(axis->extent);
    matrix.strides.push_back(axis->strides[index]);
  }
  return matrix;
}

Einsum einsum_of(const Node& node) {
  std::vector<Shape> shapes;
  for (const model::Value* input : node.inputs()) shapes.push_back(input->shape);
  Einsum e = model::parse_einsum(node.attributes.get_string("equation", ""), shapes);
  for (const int letter : e.output) {
    if (std::count(e.output.begin(), e.output.end(), letter) > 1) {
      Lowering::refuse(node, "its output has a letter twice");
    }
  }
  return e;
}

void lower_one_operand(Lowering& to, const Node& node, const Einsum& e) {
  Operand from = to.read(node.input(0)), place = to.write(node.output());
  from.strides = letter_strides(from, e.inputs[0], e.extent.size());
  place.strides = letter_strides(place, e.output, e.extent.size());
  from.shape = place.shape = e.extent;
  model::Ints summed;
  for (int letter = 0; letter < static_cast<int>(e.extent.size()); ++letter) {
    if (!has(e.output, letter)) summed.push_back(letter);
  }
  if (summed.empty()) return emit_copy(to, node, from, place);
  emit_reduce(to, node, "Sum", from, place, summed);
}

}  // namespace

void lower_einsum(Lowering& to, const Node& node) {
  const std::size_t operands = node.inputs().size();
  if (operands != 1 && operands != 2) {
    Lowering::refuse(node,
                     "it has " + std::to_string(operands) + " operands; one or two are supported");
  }
  const Einsum e = einsum_of(node);
  if (operands == 1) return lower_one_operand(to, node, e);
  if (node.output()->dtype != DType::kFloat32) Lowering::refuse(node, "it multiplies integers");
  const auto operand = [&](int i) {
    const model::Value* value = node.input(i);
    return value->is_constant() ? read_as(to, node, value, to.compute_dtype()) : to.read(value);
  };
  Operand a = operand(0), b = operand(1);
  const Operand y = to.write(node.output());
  Axes axes = classify(e, a, b, y);
  if (axes.summed.size() >
      1) {  // pictures lie channels last: in the equation's order they may merge
    a = to.copied(a, a.dtype, packed_strides(a.shape));
    b = to.copied(b, b.dtype, packed_strides(b.shape));
    axes = classify(e, a, b, y);
  }
  if (axes.summed.size() > 1) {
    Lowering::refuse(node, "its operands have the axes it sums over in different orders");
  }
  const Axis rows = take_one(axes.rows, axes.batch);
  const Axis columns = take_one(axes.columns, axes.batch);
  std::vector<Axis> none;
  const Axis summed = take_one(axes.summed, none);
  Product product;
  product.a = as_matrix(a, axes.batch, 0, rows, summed);
  product.b = as_matrix(b, axes.batch, 1, summed, columns);
  product.y = as_matrix(y, axes.batch, 2, rows, columns);
  emit_product(to, node, product);
}

}  // namespace peregrine::cuda
