// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "compiler/plan.h"

namespace peregrine::testing {

/// What the identity of `fake_plan` says of its machine.
inline compiler::PlanIdentity fake_identity() {
  return {"tiny.onnx", std::string(64, 'a'), "fp16", "NVIDIA H200", 90, 132, 13000, 13000, "0.1.0"};
}

/// A plan as `peregrine build` might write it, by hand: batches 1 and 4 of a convolution and a
/// copy, with every kind of attribute, an epilogue and a strided operand.
inline compiler::Plan fake_plan(std::size_t weights_bytes = 4096) {
  using namespace compiler;
  Plan plan;
  plan.identity = fake_identity();
  plan.inputs = {{"images", DType::kFloat32, {-1, 3, 8, 8}}};
  plan.outputs = {{"features", DType::kFloat32, {-1, 512}}};
  plan.metadata = {{"author", "nobody"}, {"task", "embed"}};
  plan.weights.resize(weights_bytes);
  for (std::size_t i = 0; i < weights_bytes; ++i) plan.weights[i] = static_cast<std::byte>(i * 7);
  for (const std::int64_t batch : {1, 4}) {
    Program program;
    program.batch = batch;
    program.arena_bytes = static_cast<std::size_t>(batch) * 1024;
    program.peak_bytes = program.arena_bytes;
    program.microseconds = 12.5 * static_cast<double>(batch);
    Step conv;
    conv.kernel = "conv";
    conv.name = "/model.0/conv/Conv";
    conv.origins = {"/model.0/conv/Conv", "/model.0/act/Mul"};
    conv.inputs = {
        {Region::kInput, 0, 0, DType::kFloat32, {batch, 3, 8, 8}, {192, 64, 8, 1}, "images"},
        {Region::kWeights, 0, 256, DType::kFloat16, {8, 3, 3, 3}, {27, 1, 9, 3}},
        {}};
    conv.outputs = {
        {Region::kArena, 0, 0, DType::kFloat16, {batch, 8, 8, 8}, {512, 1, 64, 8}, "y"}};
    conv.attributes.set("group", std::int64_t{1});
    conv.attributes.set("alpha", 0.5f);
    conv.attributes.set("auto_pad", std::string("NOTSET"));
    conv.attributes.set("pads", model::Ints{1, 1, 1, 1});
    conv.attributes.set("scales", model::Floats{1, 2});
    conv.attributes.set("names", std::vector<std::string>{"a", ""});
    const float values[] = {1, 2, 3, 4};
    conv.attributes.set("table", std::make_shared<const Tensor>(
                                     Tensor::of<float>(std::span<const float>(values), {2, 2})));
    conv.epilogue.activation = model::Op::kClip;
    conv.epilogue.activation_attributes.set("beta", 6.0f);
    conv.epilogue.residual = model::Epilogue::Residual::kAfterActivation;
    conv.tactic = "direct_3x3";
    conv.flops = 27648 * batch;
    conv.microseconds = 3.25;
    Step copy;
    copy.kernel = "copy";
    copy.name = "features";
    copy.inputs = {{Region::kArena, 0, 0, DType::kFloat16, {batch, 512}, {512, 1}}};
    copy.outputs = {{Region::kOutput, 0, 0, DType::kFloat32, {batch, 512}, {512, 1}, "features"}};
    program.steps = {conv, copy};
    plan.programs.push_back(program);
  }
  return plan;
}

}  // namespace peregrine::testing
