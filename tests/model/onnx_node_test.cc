// SPDX-License-Identifier: Apache-2.0
// ONNX's own node tests through the reference interpreter.
#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

#include "model/onnx_files.h"
#include "model/onnx_node_cases.h"

namespace peregrine::testing {
namespace {

TEST(OnnxNodeTests, NoneIsWrong) {
  if (onnx_node_tests().empty()) {
    GTEST_SKIP() << "needs ONNX's node tests: see tests/model/onnx_files.h";
  }
  const std::vector<OnnxNodeCase> cases = onnx_node_cases();
  ASSERT_GT(cases.size(), 1000U);
  const bool verbose = std::getenv("PEREGRINE_VERBOSE") != nullptr;
  int passed = 0;
  for (const OnnxNodeCase& each : cases) {
    const OnnxNodeResult result = run_on_reference(each);
    if (result.outcome == Outcome::kPass) ++passed;
    if (verbose && result.outcome == Outcome::kUnsupported) {
      std::cout << each.name() << ": " << result.detail << "\n";
    }
    EXPECT_NE(result.outcome, Outcome::kWrong) << each.name() << ": " << result.detail;
  }
  EXPECT_GE(passed, 1200) << "ops that used to pass are refused now";
}

}  // namespace
}  // namespace peregrine::testing
