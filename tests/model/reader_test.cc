// SPDX-License-Identifier: Apache-2.0
// What the ONNX reader accepts, and the message for each thing it refuses.
#include "model/onnx_reader.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/sha256.h"
#include "model/model_builder.h"
#include "model/model_digest.h"
#include "model/shape_inference.h"
#include "peregrine/error.h"
#include "peregrine/task.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace peregrine {
namespace {

namespace fs = std::filesystem;
using testing::ModelBuilder;

// Of the first input.
void name_dimension(ModelBuilder& model, int dimension, const char* name) {
  auto& type = *model.proto().mutable_graph()->mutable_input(0)->mutable_type();
  type.mutable_tensor_type()->mutable_shape()->mutable_dim(dimension)->set_dim_param(name);
}

ModelBuilder relu_model() {
  ModelBuilder model;
  model.input("x", {-1, 3, 8, 8}).node("Relu", {"x"}, {"y"}).output("y");
  return model;
}

// Reads, infers, and returns the error; fails when there is none.
void expect_error(const std::string& bytes, ErrorCode code, const std::string& part) {
  try {
    model::Graph graph = model::read_onnx(bytes, "folder/m.onnx");
    model::infer(graph, {.batch = 1});
    ADD_FAILURE() << "accepted; expected: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("folder/m.onnx"), std::string::npos) << error.what();
  }
}

TEST(OnnxReader, ReadsInputsNodesAndMetadata) {
  ModelBuilder model = relu_model();
  auto& entry = *model.proto().add_metadata_props();
  entry.set_key("names");
  entry.set_value("{0: 'car'}");
  const model::Graph graph = model.graph();
  ASSERT_EQ(graph.inputs().size(), 1U);
  EXPECT_EQ(graph.inputs()[0]->shape, (Shape{-1, 3, 8, 8}));
  EXPECT_EQ(graph.inputs()[0]->dim_names[0], "batch");
  EXPECT_EQ(graph.nodes().size(), 1U);
  EXPECT_EQ(graph.output_names()[0], "y");
  EXPECT_EQ(graph.metadata.at("names"), "{0: 'car'}");
  EXPECT_EQ(graph.opset, 17);
}

TEST(OnnxReader, SortsNodesAndSkipsUnknownFields) {
  ModelBuilder model;
  model.input("x", {1, 4})
      .node("Relu", {"middle"}, {"y"})
      .node("Abs", {"x"}, {"middle"})
      .output("y");
  // Field 1000 of wire type 2: what a newer IR would add.
  const std::string bytes = model.bytes() + std::string(
                                                "\xc2\x3e\x03"
                                                "new",
                                                6);
  const model::Graph graph = model::read_onnx(bytes, "m.onnx");
  EXPECT_EQ(graph.nodes()[0]->op(), model::Op::kAbs);
}

TEST(OnnxReader, ReadsEveryWeightType) {
  for (const auto& [type, dtype] : {std::pair{10, DType::kFloat16},
                                    {16, DType::kBFloat16},
                                    {11, DType::kFloat64},
                                    {3, DType::kInt8},
                                    {12, DType::kUint32},
                                    {9, DType::kBool}}) {
    ModelBuilder model;
    model.input("x", {2}).node("Identity", {"w"}, {"y"}).output("y");
    auto& tensor = *model.proto().mutable_graph()->add_initializer();
    tensor.set_name("w");
    tensor.add_dims(2);
    tensor.set_data_type(type);
    if (type == 11)
      tensor.add_double_data(1), tensor.add_double_data(0);
    else if (type == 12)
      tensor.add_uint64_data(1), tensor.add_uint64_data(0);
    else
      tensor.add_int32_data(1), tensor.add_int32_data(0);
    const model::Graph graph = model.graph();
    EXPECT_EQ(graph.find_value("w")->dtype, dtype);
  }
}

// Relu of "x" where it holds, else Abs.
void give_branches(onnx::NodeProto& node) {
  for (const auto& [branch, op] : {std::pair{"then_branch", "Relu"}, {"else_branch", "Abs"}}) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(branch);
    attribute.set_type(5);
    onnx::NodeProto& inner = *attribute.mutable_g()->add_node();
    inner.set_op_type(op);
    inner.add_input("x");
    inner.add_output("inner");
    attribute.mutable_g()->add_output()->set_name("inner");
  }
}

TEST(OnnxReader, InlinesAnIfWhoseConditionIsKnown) {
  ModelBuilder model;
  const bool yes[] = {true};
  model.input("x", {1, 4})
      .constant("c", Tensor::of<bool>(yes, {}))
      .node("If", {"c"}, {"y"})
      .output("y");
  give_branches(*model.proto().mutable_graph()->mutable_node(0));
  const model::Graph graph = model.graph();
  ASSERT_EQ(graph.nodes().size(), 1U);
  EXPECT_EQ(graph.nodes()[0]->op(), model::Op::kRelu);
}

// As torch.tile and Tensor.squeeze are exported: of ranks and lengths.
TEST(OnnxReader, InlinesAnIfThatShapesDecideWhateverTheBatch) {
  for (const std::int64_t axis : {0, 1}) {
    SCOPED_TRACE(axis == 0 ? "the batch decides" : "another axis decides");
    ModelBuilder model;
    model.input("x", {-1, 4}).ints("axis", {axis}).ints("some", {axis == 0 ? 1 : 4}).output("y");
    model.node("Relu", {"x"}, {"r"}).node("Shape", {"r"}, {"shape"});
    model.node("Gather", {"shape", "axis"}, {"length"}).node("Equal", {"length", "some"}, {"c"});
    model.node("If", {"c"}, {"y"});
    give_branches(*model.proto().mutable_graph()->mutable_node(4));
    if (axis == 0) {
      expect_error(model.bytes(), ErrorCode::kModelUnsupported, "data or on the batch");
      continue;
    }
    model::Graph graph = model.graph();
    model::infer(graph, {.batch = 2});
    ASSERT_EQ(graph.nodes().size(), 1U);
    EXPECT_EQ(graph.nodes()[0]->op(), model::Op::kRelu);
    EXPECT_EQ(graph.nodes()[0]->outputs()[0]->name, "y");
  }
}

TEST(OnnxReader, RefusesWhatIsNoModel) {
  expect_error("", ErrorCode::kModelInvalid, "is not an ONNX model, or was cut off");
  expect_error("GIF89a, surely", ErrorCode::kModelInvalid, "is not an ONNX model");
  const std::string whole = relu_model().bytes();
  expect_error(whole.substr(0, whole.size() / 2), ErrorCode::kModelInvalid, "cut off");
  EXPECT_THROW(model::read_onnx("no/such/file.onnx"), Error);
}

TEST(OnnxReader, RefusesUnknownOpsByNodeOpOpsetAndDomain) {
  ModelBuilder model;
  model.input("x", {1}).node("Fourier", {"x"}, {"y"}).output("y");
  expect_error(model.bytes(), ErrorCode::kModelUnsupported,
               "node '/Fourier_y' has op 'Fourier' (opset 17, domain ai.onnx)");
  model.proto().mutable_graph()->mutable_node(0)->set_domain("com.microsoft");
  expect_error(model.bytes(), ErrorCode::kModelUnsupported, "domain com.microsoft");
  auto& function = *model.proto().add_functions();
  function.set_name("Fourier");
  function.set_domain("com.microsoft");
  expect_error(model.bytes(), ErrorCode::kModelUnsupported, "model-local function");
  expect_error(ModelBuilder(9).input("x", {1}).node("Relu", {"x"}, {"y"}).output("y").bytes(),
               ErrorCode::kModelUnsupported, "uses opset 9; supported are 11 to");
  ModelBuilder ours;  // the name of an op of our own means nothing in a file
  ours.input("x", {1}).node("Silu", {"x"}, {"y"}).output("y");
  expect_error(ours.bytes(), ErrorCode::kModelUnsupported, "'Silu'");
}

TEST(OnnxReader, RefusesControlFlowThatDependsOnData) {
  ModelBuilder model;
  model.input("c", {}, DType::kBool).node("If", {"c"}, {"y"}).output("y");
  expect_error(model.bytes(), ErrorCode::kModelUnsupported, "node '/If_y' (If) depends on data");
}

TEST(OnnxReader, RefusesInconsistentGraphs) {
  ModelBuilder cycle;
  cycle.input("x", {1}).node("Add", {"x", "b"}, {"a"}).node("Relu", {"a"}, {"b"}).output("b");
  expect_error(cycle.bytes(), ErrorCode::kModelInvalid, "depends on its own output");
  ModelBuilder dangling;
  dangling.input("x", {1}).node("Add", {"x", "ghost"}, {"y"}).output("y");
  expect_error(dangling.bytes(), ErrorCode::kModelInvalid,
               "node '/Add_y' (Add) reads 'ghost', which nothing produces");
  ModelBuilder twice;
  twice.input("x", {1}).node("Relu", {"x"}, {"y"}).node("Abs", {"x"}, {"y"}).output("y");
  expect_error(twice.bytes(), ErrorCode::kModelInvalid,
               "'/Abs_y' produces 'y', which exists already");
  ModelBuilder no_output = relu_model();
  no_output.output("nowhere");
  expect_error(no_output.bytes(), ErrorCode::kModelInvalid,
               "nothing produces the output 'nowhere'");
  ModelBuilder arity;
  arity.input("x", {1}).node("Add", {"x"}, {"y"}).output("y");
  expect_error(arity.bytes(), ErrorCode::kModelInvalid, "has 1 inputs and 1 outputs");
  ModelBuilder weights = relu_model();
  weights.weights("w", {2}, 1).weights("w", {2}, 2);
  expect_error(weights.bytes(), ErrorCode::kModelInvalid, "'w' stands for two initializers");
}

TEST(OnnxReader, ANegativeDimensionIsLeftOpen) {
  ModelBuilder model;
  model.input("x", {-1, 3, 8}).node("Relu", {"x"}, {"y"}).output("y");
  EXPECT_EQ(model.graph().inputs()[0]->shape, (Shape{-1, 3, 8}));
}

TEST(OnnxReader, QuestionMarksAreNoNames) {
  ModelBuilder model;
  model.input("x", {-1, 3, -1, -1}).node("Relu", {"x"}, {"y"}).output("y");
  name_dimension(model, 2, "?");
  name_dimension(model, 3, "?");
  const model::Graph graph = model.graph();
  EXPECT_EQ(graph.inputs()[0]->shape, (Shape{-1, 3, -1, -1}));
  EXPECT_EQ(graph.inputs()[0]->dim_names[2], "");
  EXPECT_EQ(graph.inputs()[0]->dim_names[3], "");
}

TEST(OnnxReader, ChecksSizesBeforeItAllocates) {
  const auto with_dims = [](std::initializer_list<std::int64_t> dims) {
    ModelBuilder model = relu_model();
    model.weights("w", {2, 2}, 1);
    auto& tensor = *model.proto().mutable_graph()->mutable_initializer(0);
    tensor.clear_dims();
    for (const std::int64_t dim : dims) tensor.add_dims(dim);
    return model.bytes();
  };
  expect_error(with_dims({2, 3}), ErrorCode::kModelInvalid, "needs 24 bytes but the file holds 16");
  expect_error(with_dims({std::int64_t{1} << 40, std::int64_t{1} << 40}), ErrorCode::kModelInvalid,
               "more elements than fit 64 bits");
  expect_error(with_dims({std::int64_t{1} << 50}), ErrorCode::kModelInvalid,
               "but the file holds 16");
  expect_error(with_dims({-4}), ErrorCode::kModelInvalid, "unknown or negative dimension");
  ModelBuilder huge;
  huge.input("x", {1, std::int64_t{1} << 40, std::int64_t{1} << 40})
      .node("Relu", {"x"}, {"y"})
      .output("y");
  expect_error(huge.bytes(), ErrorCode::kModelInvalid, "absurd dimension");
  ModelBuilder grown;
  grown.input("x", {1, 4})
      .ints("times", {1, std::int64_t{1} << 50})
      .node("Tile", {"x", "times"}, {"y"})
      .output("y");
  expect_error(grown.bytes(), ErrorCode::kModelInvalid, "more than any machine holds");
}

class ExternalData : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_ / "model/inner");
    write(folder_ / "model/w.bin", std::string(24, '\0'));
    write(folder_ / "secret.bin", std::string(24, '\0'));
  }

  static void write(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

  std::string read(const std::string& location, const std::string& offset = "8",
                   const std::string& length = "16") {
    ModelBuilder model;
    model.input("x", {4}).node("Add", {"x", "w"}, {"y"}).output("y");
    auto& tensor = *model.proto().mutable_graph()->add_initializer();
    tensor.set_name("w");
    tensor.add_dims(4);
    tensor.set_data_type(1);
    tensor.set_data_location(1);
    for (const auto& [key, value] :
         {std::pair{"location", location}, {"offset", offset}, {"length", length}}) {
      auto& entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    const std::string path = folder_ / "model/m.onnx";
    write(path, model.bytes());
    try {
      return to_string(model::read_onnx(path).find_value("w")->shape);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kModelInvalid);
      return error.what();
    }
  }

  const testing::TemporaryFolder folder_;
};

TEST_F(ExternalData, StaysInTheModelsFolder) {
  EXPECT_EQ(read("w.bin"), "[4]");
  EXPECT_EQ(read("inner/../w.bin").find("[4]"), std::string::npos);
  EXPECT_NE(read("../secret.bin").find("leaves the model's folder with '..'"), std::string::npos);
  EXPECT_NE(read("/etc/passwd").find("is an absolute path"), std::string::npos);
  EXPECT_NE(read("gone.bin").find("does not exist beside the model"), std::string::npos);
  fs::create_symlink(folder_ / "secret.bin", folder_ / "model/link.bin");
  EXPECT_NE(read("link.bin").find("is a symbolic link out of the model's folder"),
            std::string::npos);
  fs::create_directory_symlink(folder_.path(), folder_ / "model/up");
  EXPECT_NE(read("up/secret.bin").find("is a symbolic link out"), std::string::npos);
  EXPECT_NE(read("inner").find("is not a regular file"), std::string::npos);
}

TEST_F(ExternalData, IsPartOfTheDigest) {
  EXPECT_EQ(read("w.bin"), "[4]");
  const std::string model = folder_ / "model/m.onnx";
  const std::string before = model::model_digest(model);
  EXPECT_EQ(before.size(), 64);
  EXPECT_EQ(model::model_digest(model), before);
  write(folder_ / "model/w.bin", std::string(8, '\0') + std::string(16, '\x3f'));
  EXPECT_NE(model::model_digest(model), before);

  const std::string plain = folder_ / "plain.onnx";
  write(plain, "its digest is that of its bytes");
  EXPECT_EQ(model::model_digest(plain), to_hex(sha256("its digest is that of its bytes")));
}

TEST_F(ExternalData, ChecksOffsetAndLength) {
  EXPECT_NE(read("w.bin", "12").find("too few for 16 at offset 12"), std::string::npos);
  EXPECT_NE(read("w.bin", "9223372036854775807").find("too few"), std::string::npos);
  EXPECT_NE(read("w.bin", "-1").find("offset '-1', which is no size"), std::string::npos);
  EXPECT_NE(read("w.bin", "8", "12").find("holds 12 bytes of it, but shape [4] needs 16"),
            std::string::npos);
}

TEST(ModelInfo, IsReadWithoutKnowingTheOps) {
  const testing::TemporaryFolder folder;
  const std::string path = folder / "info.onnx";
  ModelBuilder model;
  model.input("images", {-1, 3, 640, 640}).node("Mystery", {"images"}, {"out"}).output("out");
  std::ofstream(path, std::ios::binary) << model.bytes();
  const ModelInfo info = read_model_info(path);
  ASSERT_EQ(info.inputs.size(), 1U);
  EXPECT_EQ(info.inputs[0].shape, (Shape{-1, 3, 640, 640}));
  EXPECT_EQ(info.outputs[0].name, "out");
}

TEST(Infer, BindsTheBatchAndSaysWhatIsOpen) {
  ModelBuilder model;
  model.input("x", {-1, 3, -1, -1}).node("Relu", {"x"}, {"y"}).output("y");
  name_dimension(model, 2, "height");
  name_dimension(model, 3, "width");
  model::Graph graph = model.graph();
  model::Graph other = graph.clone();
  model::infer(graph, {.batch = 5, .height = 32, .width = 64});
  EXPECT_EQ(graph.outputs()[0]->shape, (Shape{5, 3, 32, 64}));
  try {
    model::infer(other, {.batch = 5});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what())
                  .find("dimension 2 ('height') of input 'x' is open; say it with --imgsz"),
              std::string::npos);
  }
  model::Graph fixed =
      ModelBuilder().input("x", {1, 4}).node("Relu", {"x"}, {"y"}).output("y").graph();
  try {
    model::infer(fixed, {.batch = 3});
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("its batch is fixed to 1, asked for 3"),
              std::string::npos);
  }
}

TEST(Infer, RunsNonZeroOfAConstantAndRefusesTheRest) {
  ModelBuilder known;
  known.input("x", {3, 2});
  known.constant("mask", Tensor::of<std::int64_t>(std::vector<std::int64_t>{0, 1, 1}, {3}));
  known.node("NonZero", {"mask"}, {"positions"});
  known.node("Gather", {"x", "positions"}, {"y"}).output("y");
  model::Graph graph = known.graph();
  model::infer(graph, {.batch = 0});
  EXPECT_EQ(graph.outputs()[0]->shape, (Shape{1, 2, 2}));
  ModelBuilder open;
  open.input("x", {3, 2}).node("NonZero", {"x"}, {"y"}).output("y");
  model::Graph refused = open.graph();
  testing::expect_error(
      ErrorCode::kModelUnsupported,
      {"node '/NonZero_y' (NonZero): the size of its output depends on the picture"},
      [&] { model::infer(refused, {.batch = 0}); });
}

}  // namespace
}  // namespace peregrine
