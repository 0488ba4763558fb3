// SPDX-License-Identifier: Apache-2.0
// The case table on the GPU, against the reference interpreter: each op as it stands in the file
// and after the passes, in both precisions. Without a GPU the cases are lowered only.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <tuple>

#include <gtest/gtest.h>

#include "compiler/plan_check.h"
#include "engine/cuda/checks/checked_step.h"
#include "engine/cuda/compiled.h"
#include "engine/cuda/gpu.h"
#include "engine/cuda/kernel_table.h"
#include "engine/cuda/run_on_gpu.h"
#include "model/op_cases.h"
#include "model/reference/interpreter.h"
#include "testing/expect_error.h"

namespace peregrine {
namespace {

using cuda::Precision;
using testing::OpCase;

model::Graph inferred(const OpCase& row, bool passes) {
  return testing::compiled(testing::build_case(row).graph(), passes);
}

std::string case_name(const OpCase& row, std::size_t index) {
  std::string name = std::string(row.op) + "_" + row.name + "_" + std::to_string(index);
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
}

class OpCases : public ::testing::TestWithParam<OpCase> {};

TEST_P(OpCases, AreLowered) {
  for (const bool passes : {false, true}) {
    const model::Graph graph = inferred(GetParam(), passes);
    for (const Precision precision : {Precision::kFloat32, Precision::kFloat16}) {
      const compiler::Plan plan = cuda::lower_to_plan(std::span(&graph, 1), precision);
      if (!plan.inputs.empty()) {
        EXPECT_NO_THROW(compiler::check_plan(plan, plan.weights.size())) << "no file could keep it";
      }
      for (const compiler::Step& step : plan.programs.front().steps) {
        EXPECT_NO_THROW(cuda::check_step(step, plan.weights)) << step.kernel;
      }
    }
  }
}

// Halves round each input and result to 11 bits; sums of n of them drift by the root of n.
double tolerance(const OpCase& row, Precision precision) {
  return precision == Precision::kFloat32 ? std::max(row.tolerance, 2e-5F) : 4e-3;
}

TEST_P(OpCases, OnTheGpuAgreeWithTheReference) {
  PEREGRINE_NEEDS_GPU();
  const OpCase& row = GetParam();
  const std::vector<Tensor> inputs = testing::case_inputs(row);
  const std::vector<Tensor> expected = model::run_graph(testing::build_case(row).graph(), inputs);
  for (const bool passes : {false, true}) {
    const model::Graph graph = inferred(row, passes);
    for (const Precision precision : {Precision::kFloat32, Precision::kFloat16}) {
      SCOPED_TRACE(std::string(passes ? "with" : "without") + " passes, " +
                   (precision == Precision::kFloat16 ? "FP16" : "FP32"));
      const std::vector<Tensor> actual = testing::run_on_gpu(graph, precision, inputs);
      ASSERT_EQ(actual.size(), expected.size());
      for (std::size_t k = 0; k < expected.size(); ++k) {
        ASSERT_EQ(actual[k].shape(), expected[k].shape());
        const auto a = actual[k].as<float>();
        const auto e = expected[k].as<float>();
        float largest = 1e-3F;
        for (const float value : e) largest = std::max(largest, std::abs(value));
        for (std::size_t i = 0; i < e.size(); ++i) {
          if (std::isnan(e[i]) && std::isnan(a[i])) continue;
          ASSERT_NEAR(a[i], e[i], tolerance(row, precision) * largest)
              << "output " << k << " element " << i;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, OpCases, ::testing::ValuesIn(testing::op_cases()),
                         [](const auto& each) { return case_name(each.param, each.index); });

}  // namespace

namespace testing {
void PrintTo(const OpCase& row, std::ostream* out) { *out << row.op << ' ' << row.name; }
}  // namespace testing
}  // namespace peregrine
