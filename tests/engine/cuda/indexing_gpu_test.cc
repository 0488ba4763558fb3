// SPDX-License-Identifier: Apache-2.0
// The cases of indexing_cases.h on the GPU.
#include <gtest/gtest.h>

#include "compiler/passes.h"
#include "engine/cuda/gpu.h"
#include "engine/cuda/indexing_cases.h"
#include "engine/cuda/run_on_gpu.h"
#include "model/reference/interpreter.h"
#include "model/shape_inference.h"

namespace peregrine {
namespace {

using cuda::Precision;
using testing::IndexingCase;
using testing::Surroundings;

class IndexingOnGpu : public ::testing::TestWithParam<IndexingCase> {};

TEST_P(IndexingOnGpu, AgreesWithTheReference) {
  PEREGRINE_NEEDS_GPU();
  for (const Surroundings each :
       {Surroundings::kNone, Surroundings::kTransposes, Surroundings::kConvolutions}) {
    if (!testing::fits(GetParam(), each)) continue;
    SCOPED_TRACE("surroundings " + std::to_string(static_cast<int>(each)));
    const testing::ModelBuilder model = testing::build_case(GetParam(), each);
    const std::vector<Tensor> inputs = testing::case_inputs(GetParam(), each);
    model::Graph graph = model.graph();
    model::infer(graph, {.batch = 0});
    compiler::to_float32(graph);
    const bool halves = each == Surroundings::kConvolutions;
    testing::expect_same(
        testing::run_on_gpu(graph, halves ? Precision::kFloat16 : Precision::kFloat32, inputs),
        model::run_graph(model.graph(), inputs), halves ? 4e-3 : 2e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(All, IndexingOnGpu, ::testing::ValuesIn(testing::indexing_cases()),
                         [](const auto& each) {
                           return testing::case_name(each.param, each.index);
                         });

}  // namespace
}  // namespace peregrine
