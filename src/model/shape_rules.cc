// SPDX-License-Identifier: Apache-2.0
#include "model/shape_rules.h"

#include <fmt/format.h>

#include "model/convert.h"
#include "peregrine/error.h"

namespace peregrine::model {
namespace {

// No machine holds a tensor of more: a shape past this is a mistake or an attack.
constexpr std::size_t kMaxTensorBytes = std::size_t{1} << 42;

constexpr rules::Rule kRules[] = {
#define PEREGRINE_OP(name, min_in, max_in, min_out, max_out, promotion, rule, ...) &rules::rule,
#include "model/ops.def"
#undef PEREGRINE_OP
};
static_assert(std::size(kRules) == kOpCount);

}  // namespace

Ints to_ints(const Tensor& tensor) {
  if (is_float(tensor.dtype())) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("a {} tensor where integers belong", to_string(tensor.dtype())));
  }
  const Tensor wide = convert(tensor, DType::kInt64);
  const auto values = wide.as<std::int64_t>();
  return {values.begin(), values.end()};
}

Floats to_floats(const Tensor& tensor) {
  const Tensor wide = convert(tensor, DType::kFloat32);
  const auto values = wide.as<float>();
  return {values.begin(), values.end()};
}

RuleContext::RuleContext(const Node& node, std::vector<RuleInput> inputs)
    : node_(node), inputs_(std::move(inputs)), outputs_(node.outputs().size()) {}

const RuleInput& RuleContext::at(int index) const {
  if (!has(index)) fail(fmt::format("lacks input {}", index));
  return inputs_[static_cast<std::size_t>(index)];
}

bool RuleContext::has(int index) const {
  const auto i = static_cast<std::size_t>(index);
  return i < inputs_.size() && inputs_[i].present;
}

const Shape& RuleContext::shape(int index) const { return *at(index).shape; }
DType RuleContext::dtype(int index) const { return at(index).dtype; }

bool RuleContext::contents_known(int index) const { return at(index).contents != nullptr; }

const Tensor& RuleContext::contents(int index) const {
  const RuleInput& input = at(index);
  if (!input.contents) {
    throw Error(
        ErrorCode::kModelUnsupported,
        fmt::format("{}: its input {} depends on the model's inputs, so that shapes are not "
                    "known before it runs; export the model with fixed shapes",
                    describe(node_), index));
  }
  return *input.contents;
}

Ints RuleContext::ints(int index) const { return has(index) ? to_ints(contents(index)) : Ints(); }

Floats RuleContext::floats(int index) const {
  return has(index) ? to_floats(contents(index)) : Floats();
}

double RuleContext::number(int index) const {
  const Tensor wide = convert(contents(index), DType::kFloat64);
  if (wide.size() != 1) fail(fmt::format("wants one number as input {}", index));
  return wide.as<double>()[0];
}

void RuleContext::set(int index, DType dtype, Shape shape) {
  const auto i = static_cast<std::size_t>(index);
  if (i >= outputs_.size()) return;  // optional outputs nobody asked for
  if (byte_size(dtype, shape) > kMaxTensorBytes) {
    fail(fmt::format("produces a tensor of shape {}, more than any machine holds",
                     to_string(shape)));
  }
  outputs_[i] = TensorInfo{dtype, std::move(shape)};
}

void RuleContext::fail(const std::string& what) const {
  throw Error(ErrorCode::kModelInvalid, fmt::format("{} {}", describe(node_), what));
}

void RuleContext::unsupported(const std::string& what) const {
  throw Error(ErrorCode::kModelUnsupported, fmt::format("{} {}", describe(node_), what));
}

std::vector<std::optional<TensorInfo>> apply_rule(const Node& node, std::vector<RuleInput> inputs) {
  RuleContext context(node, std::move(inputs));
  try {
    kRules[static_cast<std::size_t>(node.op())](context);
  } catch (const Error& error) {
    // Shape helpers do not know which node asked: add it, and that the model is at fault.
    const ErrorCode code =
        error.code() == ErrorCode::kInvalidShape ? ErrorCode::kModelInvalid : error.code();
    const std::string what = error.what();
    const std::string prefix = describe(node);
    throw Error(code, what.starts_with(prefix) ? what : prefix + ": " + what);
  }
  return context.take_outputs();
}

}  // namespace peregrine::model
