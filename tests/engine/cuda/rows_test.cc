// SPDX-License-Identifier: Apache-2.0
// Reductions, softmax, normalizations and running sums: how tensors are cut into rows, and that
// steps hold the right operands, by running them on the host.
#include <gtest/gtest.h>

#include "engine/cuda/host_checks.h"
#include "engine/cuda/kernels/rows.h"
#include "model/op_cases.h"
#include "peregrine/error.h"
#include "testing/expect_error.h"

namespace peregrine {
namespace {

using cuda::make_rows;
using cuda::NormalizeParams;
using cuda::Rows;
using cuda::RowTensor;
using model::Ints;
using testing::attributes;
using testing::expect_node;
using testing::expect_right;
using testing::indexed;
using testing::list;
using testing::ModelBuilder;
using testing::noise;
using testing::one_node;
using testing::steps_of;
using testing::tensors;
using I = std::int64_t;

// Does what the threads of a launch do and counts how often each element of a packed tensor is met.
void expect_each_element_once(const Shape& shape, const std::vector<bool>& reduced,
                              const Shape& strides) {
  std::vector<RowTensor> tensors(1);
  const Rows rows = make_rows(shape, reduced, std::vector<Shape>{strides}, tensors);
  const int threads = rows.parts * rows.rows_per_block;
  ASSERT_LE(threads, 1024);
  ASSERT_TRUE(rows.side_by_side || threads % 32 == 0);  // whole warps exchange values
  std::vector<int> met(std::size_t(element_count(shape)), 0);
  for (int block = 0; block * rows.rows_per_block < rows.rows.count; ++block) {
    for (int thread = 0; thread < threads; ++thread) {
      const cuda::RowPlace place(rows, block, thread);
      if (!place.valid) continue;
      for (int i = place.part; i < rows.elements.count; i += rows.parts) {
        ++met.at(std::size_t(offset_of(place.row, rows.rows, tensors[0].row_strides) +
                             offset_of(i, rows.elements, tensors[0].element_strides)));
      }
    }
  }
  for (std::size_t i = 0; i < met.size(); ++i) ASSERT_EQ(met[i], 1) << to_string(shape) << i;
}

TEST(Rows, MeetEachElementOnce) {
  const Shape shape{3, 5, 4, 6};
  for (const Shape& strides : {packed_strides(shape), Shape{120, 1, 30, 5}}) {
    for (unsigned mask = 0; mask < 16; ++mask) {
      expect_each_element_once(
          shape, {(mask & 1) != 0, (mask & 2) != 0, (mask & 4) != 0, (mask & 8) != 0}, strides);
    }
  }
  expect_each_element_once({7, 5000}, {false, true}, {5000, 1});
  expect_each_element_once({5000, 7}, {true, false}, {7, 1});
  expect_each_element_once({2, 3000}, {true, true}, {3000, 1});
  expect_each_element_once({1, 1}, {true, false}, {1, 1});
}

TEST(Rows, AreMergedAndTakenInTheOrderOfMemory) {
  std::vector<RowTensor> tensors(1);
  // The mean over the pixels of an NHWC picture: neighbours in memory are different rows.
  Rows rows = make_rows(Shape{2, 64, 20, 20}, {false, false, true, true},
                        std::vector<Shape>{Shape{25600, 1, 1280, 64}}, tensors);
  EXPECT_EQ(rows.elements.rank, 1);
  EXPECT_EQ(tensors[0].element_strides[0], 64);
  EXPECT_EQ(tensors[0].row_strides[0], 1);
  EXPECT_TRUE(rows.side_by_side);
  EXPECT_EQ(rows.rows_per_block, 32);
  EXPECT_EQ(rows.parts, 32);
  rows = make_rows(Shape{50, 768}, {false, true}, std::vector<Shape>{Shape{768, 1}}, tensors);
  EXPECT_FALSE(rows.side_by_side);
  EXPECT_EQ(rows.parts, 32);  // a warp, so no barrier
}

TEST(Rows, RefuseWhatIsTooLargeOrTooManyDimensions) {
  std::vector<RowTensor> tensors(1);
  testing::expect_error(
      ErrorCode::kModelUnsupported, {"rows of [65536, 65536] reach over 2^31 elements or more"},
      [&] {
        make_rows(Shape{65536, 65536}, {true, true}, std::vector<Shape>{Shape{65536, 1}}, tensors);
      });
  testing::expect_error(ErrorCode::kModelUnsupported,
                        {"more than five separate dimensions on a side"}, [&] {
                          make_rows(Shape(6, 2), std::vector<bool>(6, false),
                                    std::vector<Shape>{Shape{1, 4, 16, 64, 256, 1024}}, tensors);
                        });
}

NormalizeParams layer_norm(I width, I row_stride, DType dtype, std::uintptr_t address = 64) {
  NormalizeParams p;
  p.kind = cuda::Normalization::kLayer;
  std::vector<RowTensor> tensors(2);
  p.rows = make_rows(Shape{10, width}, {false, true},
                     std::vector<Shape>{Shape{row_stride, 1}, Shape{width, 1}}, tensors);
  p.input = tensors[0];
  p.output = tensors[1];
  p.input.data = reinterpret_cast<void*>(address);
  p.output.data = reinterpret_cast<void*>(64);
  p.input.dtype = p.output.dtype = dtype;
  return p;
}

TEST(Rows, StayInRegistersWhereAWarpCanHoldThem) {
  EXPECT_EQ(packs_in_registers(layer_norm(256, 256, DType::kFloat16)), 1);
  EXPECT_EQ(packs_in_registers(layer_norm(384, 384, DType::kFloat32)), 2);
  EXPECT_EQ(packs_in_registers(layer_norm(768, 2304, DType::kFloat16)), 3);
  EXPECT_EQ(packs_in_registers(layer_norm(1280, 1280, DType::kFloat16)), 8);
  EXPECT_EQ(packs_in_registers(layer_norm(2056, 2056, DType::kFloat16)), 0);
  EXPECT_EQ(packs_in_registers(layer_norm(50, 50, DType::kFloat16)), 0);
  EXPECT_EQ(packs_in_registers(layer_norm(768, 772, DType::kFloat16)), 0);  // 8 bytes off
  EXPECT_EQ(packs_in_registers(layer_norm(768, 772, DType::kFloat32)), 3);
  EXPECT_EQ(packs_in_registers(layer_norm(768, 768, DType::kFloat16, 72)), 0);
}

class RowCases : public ::testing::TestWithParam<testing::OpCase> {};

TEST_P(RowCases, AgreeWithTheReference) {
  const auto& row = GetParam();
  expect_right(testing::build_case(row), testing::case_inputs(row));
}

std::vector<testing::OpCase> row_cases() {
  std::vector<testing::OpCase> cases;
  for (const testing::OpCase& row : testing::op_cases()) {
    const std::string op = row.op;
    const bool rows = op.starts_with("Reduce") || op.ends_with("Normalization") ||
                      op.ends_with("max") || op == "CumSum" || op == "LRN";
    if (rows) cases.push_back(row);
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(All, RowCases, ::testing::ValuesIn(row_cases()),
                         [](const auto& each) { return indexed(each.param.op, each.index); });

/// A reduction over constant axes.
void expect_reduction(const char* op, const Tensor& x, const Ints& axes, I keep, I noop = 0) {
  SCOPED_TRACE(op);
  ModelBuilder model(20);
  model.input("x", x.shape(), x.dtype()).ints("axes", axes);
  model.node(op, {"x", "axes"}, {"y"},
             attributes({{"keepdims", keep}, {"noop_with_empty_axes", noop}}));
  expect_right(model.output("y"), tensors(x));
}

TEST(Reduce, TakesAnyAxesAndTypes) {
  Tensor x = noise({3, 4, 5, 2}, 1);
  for (const Ints& axes : {Ints{0}, Ints{1, -1}, Ints{0, 2}, Ints{3, 1, 0}, Ints{}}) {
    for (const I keep : {0, 1}) {
      for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceL1", "ReduceL2",
                             "ReduceSumSquare", "ReduceLogSumExp", "ReduceProd", "ReduceMin"}) {
        expect_reduction(op, x, axes, keep);
      }
    }
  }
  expect_reduction("ReduceL1", x, {}, 1, 1);  // of nothing: magnitudes
  const Tensor whole = list<I>({5, -9, I{1} << 40, 3});
  for (const char* op : {"ReduceSum", "ReduceMax", "ReduceMin"}) {
    expect_reduction(op, whole, {0}, 0);
  }
}

TEST(ArgMax, TellsEqualsApart) {
  const Tensor x = Tensor::of<float>(std::vector<float>{1, 3, 3, 0, 2, 2, -1, -1}, {2, 4});
  for (const char* op : {"ArgMax", "ArgMin"}) {
    for (const I last : {0, 1}) {
      for (const I axis : {0, 1}) {
        expect_node(op, tensors(x),
                    attributes({{"axis", axis}, {"keepdims", last}, {"select_last_index", last}}));
      }
    }
  }
  expect_node("ArgMax", tensors(list<std::int32_t>({4, 9, 9})), attributes({{"axis", I{0}}}));
}

TEST(CumulativeSum, RunsBothWays) {
  for (const I exclusive : {0, 1}) {
    for (const I reverse : {0, 1}) {
      ModelBuilder model(20);
      model.input("x", {2, 37, 3}).constant("axis", Tensor::of<I>(std::vector<I>{1}, {}));
      model.node("CumSum", {"x", "axis"}, {"y"},
                 attributes({{"exclusive", exclusive}, {"reverse", reverse}}));
      expect_right(model.output("y"), tensors(noise({2, 37, 3}, 1)), 1e-5);
    }
  }
}

TEST(Softmax, OfOldFilesTakesAllAxesFromTheGivenOne) {
  ModelBuilder model(11);
  model.input("x", {2, 3, 4}).node("Softmax", {"x"}, {"y"}, attributes({{"axis", I{1}}}));
  model.output("y");
  const auto steps = steps_of(model);
  ASSERT_EQ(steps.size(), 1U);
  EXPECT_EQ(steps[0].kernel, "normalize");
  EXPECT_EQ(steps[0].attributes.get_ints("axes"), (Ints{1, 2}));
  expect_right(model, tensors(noise({2, 3, 4}, 1)));
}

TEST(Normalization, OfGroupsKnowsBothFormsOfScale) {
  for (const int opset : {18, 21}) {
    const I factors = opset < 21 ? 2 : 6;  // a number a group, later a channel
    ModelBuilder model(opset);
    model.input("x", {2, 6, 3, 4}).weights("s", {factors}, 1).weights("b", {factors}, 2);
    model.node("GroupNormalization", {"x", "s", "b"}, {"y"},
               attributes({{"num_groups", I{2}}, {"epsilon", 1e-3F}}));
    expect_right(model.output("y"), tensors(noise({2, 6, 3, 4}, 1)));
  }
}

TEST(Normalization, OfTransposedRowsNeedsNoCopy) {
  ModelBuilder model(20);
  model.input("x", {2, 8, 5}).weights("s", {8}, 1).weights("b", {8}, 2);
  model.node("Transpose", {"x"}, {"t"}, attributes({{"perm", Ints{0, 2, 1}}}));
  model.node("LayerNormalization", {"t", "s", "b"}, {"y"}).output("y");
  EXPECT_EQ(steps_of(model).size(), 1U);
  expect_right(model, tensors(noise({2, 8, 5}, 1)));
}

TEST(Normalization, OfLayersGivesItsStatistics) {
  const auto giving = [](const std::string& mean, const std::string& deviation) {
    ModelBuilder model(20);
    model.input("x", {2, 3, 8}).weights("s", {3, 8}, 1);
    model.node("LayerNormalization", {"x", "s", ""}, {"y", mean, deviation},
               attributes({{"axis", I{1}}, {"epsilon", 0.1F}}));
    model.output("y");
    for (const std::string& name : {mean, deviation}) {
      if (!name.empty()) model.output(name);
    }
    return model;
  };
  expect_right(giving("mean", ""), tensors(noise({2, 3, 8}, 1)));
  expect_right(giving("", "deviation"), tensors(noise({2, 3, 8}, 1)));
  expect_right(giving("mean", "deviation"), tensors(noise({2, 3, 8}, 1)));
}

TEST(Rows, AreRefusedByName) {
  ModelBuilder open(20);
  open.input("x", {2, 3}).input("axes", {1}, DType::kInt64);
  open.node("CumSum", {"x", "axes"}, {"y"}).output("y");
  testing::expect_error(ErrorCode::kModelUnsupported,
                        {"(CumSum): its input 1 (axes) must be known when the plan is built"},
                        [&] { steps_of(open); });
  testing::expect_error(ErrorCode::kModelUnsupported,
                        {"(ReduceLogSumExp): it has no form for int64"}, [&] {
                          steps_of(one_node("ReduceLogSumExp", tensors(list<I>({1, 2}))));
                        });
}

}  // namespace
}  // namespace peregrine
