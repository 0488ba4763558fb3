// SPDX-License-Identifier: Apache-2.0
#include "engine/factory.h"

#include <gtest/gtest.h>

#include "testing/expect_error.h"

namespace peregrine::engine {
namespace {

using testing::expect_error;

const std::string kTiny = std::string(PEREGRINE_SOURCE_DIR) + "/tests/engine/data/tiny.onnx";

TEST(Factory, MakesTheCpuEngine) {
  for (const char* device : {"cpu", "auto"}) {
    const auto engine = make_engine(kTiny, device, {.threads = 1, .max_batch = 2});
    EXPECT_TRUE(engine->device().is_cpu());
    EXPECT_EQ(engine->max_batch(), 2);
  }
}

TEST(Factory, SaysWhyThereIsNoGpuAndWhatToDo) {
  for (const char* device : {"cuda", "cuda:1"}) {
    expect_error(ErrorCode::kGpu, {"tiny.onnx", "--device cpu", "preset 'cuda'"},
                 [&] { make_engine(kTiny, device, {}); });
  }
}

TEST(Factory, RefusesUnknownDevices) {
  for (const char* device : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda0", "CPU"}) {
    expect_error(ErrorCode::kUsage, {"unknown device", "cuda:N"},
                 [&] { make_engine(kTiny, device, {}); });
  }
}

}  // namespace
}  // namespace peregrine::engine
