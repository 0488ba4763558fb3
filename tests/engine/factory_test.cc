// SPDX-License-Identifier: Apache-2.0
#include "engine/factory.h"

#include <gtest/gtest.h>

#include "core/machine.h"
#include "testing/expect_error.h"

namespace peregrine::engine {
namespace {

using testing::expect_error;

const std::string kTiny = std::string(PEREGRINE_SOURCE_DIR) + "/tests/engine/data/tiny.onnx";

TEST(Factory, MakesTheCpuEngine) {
  for (const char* device : {"cpu", "auto"}) {
    EngineOptions options;
    options.threads = 1;
    options.max_batch = 2;
    const auto engine = make_engine(kTiny, device, options);
    EXPECT_TRUE(engine->device().is_cpu());
    EXPECT_EQ(engine->max_batch(), 2);
  }
}

TEST(Factory, SaysWhyThereIsNoGpuAndWhatToDo) {
  if (!probe_gpus().gpus.empty()) GTEST_SKIP() << "this machine has a GPU";
  for (const char* device : {"cuda", "cuda:1"}) {
    const char* way_out = has_cuda_engine() ? "peregrine doctor" : "preset 'cuda'";
    expect_error(ErrorCode::kGpu, {device, "cannot run", "tiny.onnx", "--device cpu", way_out},
                 [&] { make_engine(kTiny, device, {}); });
  }
}

TEST(Factory, KeepsPlansOffTheCpu) {
  expect_error(ErrorCode::kUsage, {"some.plan", "is a plan", "ONNX"},
               [] { make_engine("some.plan", "cpu", {}); });
}

TEST(Factory, BuildStatusIsOneLine) {
  EXPECT_EQ(to_string(BuildStatus{"tuning", 8, "/model.2/Conv", 34, 120, 212}),
            "batch 8: tuning 34 of 120, /model.2/Conv, 212 tactics timed");
  EXPECT_EQ(to_string(BuildStatus{.stage = "reading", .what = "a.onnx"}), "reading, a.onnx");
}

TEST(RunTimes, PercentilesAreMeasuredTimes) {
  std::vector<double> us;
  for (int i = 101; i > 0; --i) us.push_back(i);
  const RunTimes times = summarize(us);
  EXPECT_EQ(times.p50_us, 51);
  EXPECT_EQ(times.p95_us, 96);
  EXPECT_EQ(times.p99_us, 100);
  EXPECT_EQ(times.mean_us, 51);
  EXPECT_EQ(times.runs, 101);
  EXPECT_EQ(summarize({7}).p99_us, 7);
}

TEST(Factory, RefusesUnknownDevices) {
  for (const char* device : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda0", "CPU"}) {
    expect_error(ErrorCode::kUsage, {"unknown device", "cuda:N"},
                 [&] { make_engine(kTiny, device, {}); });
  }
}

}  // namespace
}  // namespace peregrine::engine
