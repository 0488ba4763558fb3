// SPDX-License-Identifier: Apache-2.0
// A model becomes a plan, a file, an engine behind host tensors, and answers like its reference.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "compiler/plan_cache.h"
#include "compiler/plan_file.h"
#include "engine/cuda/gpu.h"
#include "engine/factory.h"
#include "eval/bisect.h"
#include "eval/validation.h"
#include "model/model_builder.h"
#include "model/model_digest.h"
#include "model/onnx_reader.h"
#include "model/reference/interpreter.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace peregrine::engine {
namespace {

using testing::expect_error;
using testing::ModelBuilder;

class PlanOnGpu : public ::testing::Test {
 protected:
  PlanOnGpu() {
    setenv("XDG_CACHE_HOME", folder_.path().c_str(), 1);
    ModelBuilder model;
    model.input("x", {-1, 3, 32, 32})
        .weights("w1", {16, 3, 3, 3}, 1, 0.3f)
        .weights("w2", {8, 16, 1, 1}, 2, 0.3f)
        .node("Conv", {"x", "w1"}, {"a"})
        .node("Relu", {"a"}, {"b"})
        .node("Conv", {"b", "w2"}, {"c"})
        .node("Sigmoid", {"c"}, {"y"})
        .output("y");
    std::ofstream(onnx_, std::ios::binary) << model.bytes();
  }
  ~PlanOnGpu() override { unsetenv("XDG_CACHE_HOME"); }

  compiler::Plan build() const {
    BuildRequest request;
    request.model = onnx_;
    request.batches = {1, 4};
    return build_plan(request).plan;
  }

  // Whether a plan had to be built.
  bool builds() const {
    int heard = 0;
    EngineOptions options;
    options.max_batch = 4;
    options.progress = [&heard](const std::string& line) { heard += !line.empty(); };
    make_engine(onnx_, "cuda", options);
    return heard > 0;
  }

  // Largest relative error against the reference interpreter.
  double error_of(const Engine& engine, int batch, unsigned seed) const {
    eval::ModelInputs inputs(engine.inputs(), seed, batch);
    inputs.next(batch);
    eval::EngineRun run(engine);
    const auto actual = run(inputs.views(), batch);
    const auto expected = model::run_graph(model::read_onnx(onnx_), inputs.tensors());
    eval::OutputDifference difference("y");
    difference.add(actual[0], const_cast<Tensor&>(expected[0]).view());
    return difference.relative_l2();
  }

  const testing::TemporaryFolder folder_;
  const std::string onnx_ = folder_ / "small.onnx", plan_ = folder_ / "small.plan";
};

TEST_F(PlanOnGpu, AnswersLikeItsReferenceThroughAFile) {
  PEREGRINE_NEEDS_GPU();
  compiler::write_plan(build(), plan_);
  const auto engine = make_engine(plan_, "auto", {});
  EXPECT_EQ(engine->max_batch(), 4);
  EXPECT_TRUE(engine->device().is_cpu()) << "its tensors are the host's";
  for (const int batch : {1, 2, 3, 4}) EXPECT_LT(error_of(*engine, batch, 5), 1e-2) << batch;
}

TEST_F(PlanOnGpu, ContextsAreIndependent) {
  PEREGRINE_NEEDS_GPU();
  const auto engine = load_plan(build(), plan_, 0);
  eval::ModelInputs one(engine->inputs(), 1, 1), two(engine->inputs(), 2, 1);
  one.next(1);
  two.next(1);
  Tensor alone(DType::kFloat32, {1, 8, 30, 30}), first = alone.clone(), second = alone.clone();
  const auto a = engine->create_context(), b = engine->create_context();
  const auto enqueue = [](ExecutionContext& on, eval::ModelInputs& from, Tensor& to) {
    const TensorView view = to.view();
    on.enqueue(from.views(), std::span(&view, 1), 1);
  };
  enqueue(*a, one, alone);
  a->wait();
  enqueue(*a, one, first);
  enqueue(*b, two, second);
  expect_error(ErrorCode::kInvalidArgument, {"enqueue before wait"},
               [&] { enqueue(*a, one, first); });
  b->wait();
  a->wait();
  EXPECT_EQ(eval::relative_l2(first, alone), 0);
  EXPECT_GT(eval::relative_l2(second, alone), 0);
}

TEST_F(PlanOnGpu, IsBuiltOnceAndAgainWhenTheMachineChanged) {
  PEREGRINE_NEEDS_GPU();
  EXPECT_TRUE(builds());
  EXPECT_FALSE(builds()) << "it is in the cache";
  compiler::PlanIdentity identity = gpu_identity(0);
  identity.model_sha256 = model::model_digest(onnx_);
  identity.precision = "fp16";
  const std::string cached = compiler::plan_cache_path(identity, {.batches = {1, 4}});
  ASSERT_TRUE(std::filesystem::exists(cached)) << cached;
  compiler::Plan plan = compiler::read_plan(cached);
  plan.identity.driver_version -= 10;
  compiler::write_plan(plan, cached);
  EXPECT_TRUE(builds());
  EXPECT_FALSE(builds());
}

TEST_F(PlanOnGpu, OfAnotherMachineIsRefused) {
  PEREGRINE_NEEDS_GPU();
  compiler::Plan plan = build();
  plan.identity.sm = 89;
  plan.identity.device_name = "NVIDIA L4";
  compiler::write_plan(plan, plan_);
  expect_error(ErrorCode::kPlanMismatch,
               {plan_, "built for NVIDIA L4 (sm_89", "peregrine build small.onnx -o"},
               [&] { make_engine(plan_, "cuda", {}); });
}

TEST_F(PlanOnGpu, IsTimedAndBisected) {
  PEREGRINE_NEEDS_GPU();
  const auto engine = load_plan(build(), plan_, 0);
  eval::ModelInputs inputs(engine->inputs(), 1, 1);
  inputs.next(1);
  const RunTimes times = engine->time_on_device(inputs.views(), 1, 0.05);
  EXPECT_GE(times.runs, 30);
  EXPECT_GT(times.p50_us, 0);
  EXPECT_LE(times.p50_us, times.p99_us);
  EXPECT_EQ(engine->time_steps(0).size(), engine->plan().programs[0].steps.size());
  EXPECT_GT(engine->peak().bytes_per_second, 1e11);
  const eval::Bisection found = eval::bisect(*engine, onnx_, inputs.views(), 1e-2);
  EXPECT_GE(found.compared, 2);
  EXPECT_FALSE(found.first) << found.first->node << " " << found.first->error;
}

}  // namespace
}  // namespace peregrine::engine
