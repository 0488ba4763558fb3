// SPDX-License-Identifier: Apache-2.0
// The case table: OpenVINO, an engine of other authors, against the reference interpreter. Both
// read the same bytes, each with its own protobuf, in one process.
#include <algorithm>
#include <cctype>
#include <cmath>

#include <gtest/gtest.h>
#include <openvino/openvino.hpp>

#include "model/op_cases.h"
#include "model/reference/interpreter.h"

namespace peregrine {
namespace {

using testing::OpCase;

std::vector<Tensor> run_openvino(const std::string& bytes, std::vector<Tensor>& inputs) {
  static ov::Core core;
  auto compiled = core.compile_model(core.read_model(bytes, ov::Tensor()), "CPU",
                                     ov::hint::inference_precision(ov::element::f32),
                                     ov::inference_num_threads(1));
  ov::InferRequest request = compiled.create_infer_request();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Shape& shape = inputs[i].shape();
    request.set_input_tensor(
        i, ov::Tensor(ov::element::f32, ov::Shape(shape.begin(), shape.end()), inputs[i].data()));
  }
  request.infer();
  std::vector<Tensor> outputs;
  for (std::size_t i = 0; i < compiled.outputs().size(); ++i) {
    const ov::Tensor tensor = request.get_output_tensor(i);
    const Shape shape(tensor.get_shape().begin(), tensor.get_shape().end());
    outputs.push_back(
        Tensor::of<float>(std::span(tensor.data<const float>(), tensor.get_size()), shape));
  }
  return outputs;
}

class OpConformance : public ::testing::TestWithParam<OpCase> {};

TEST_P(OpConformance, OpenVinoAgreesWithTheReference) {
  const OpCase& row = GetParam();
  const testing::ModelBuilder model = testing::build_case(row);
  std::vector<Tensor> inputs = testing::case_inputs(row);
  const std::vector<Tensor> expected = model::run_graph(model.graph(), inputs);
  const std::vector<Tensor> actual = run_openvino(model.bytes(), inputs);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t k = 0; k < expected.size(); ++k) {
    ASSERT_EQ(actual[k].shape(), expected[k].shape());
    const auto a = actual[k].as<float>();
    const auto e = expected[k].as<float>();
    float largest = 1e-3F;
    for (const float value : e) largest = std::max(largest, std::abs(value));
    for (std::size_t i = 0; i < e.size(); ++i)
      ASSERT_NEAR(a[i], e[i], row.tolerance * largest) << "element " << i;
  }
}

std::string case_name(const ::testing::TestParamInfo<OpCase>& info) {
  std::string name =
      std::string(info.param.op) + "_" + info.param.name + "_" + std::to_string(info.index);
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, OpConformance, ::testing::ValuesIn(testing::op_cases()), case_name);

}  // namespace

namespace testing {
void PrintTo(const OpCase& row, std::ostream* out) { *out << row.op << ' ' << row.name; }
}  // namespace testing
}  // namespace peregrine
