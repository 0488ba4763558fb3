// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/pointwise_chain.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "compiler/rewrite.h"
#include "engine/cuda/lowering.h"
#include "model/convert.h"
#include "model/reference/activation.h"

namespace peregrine::cuda {
namespace {

using model::Node;
using model::Op;
using model::Value;

/// What a node computes in. Bool values are exact in both, so logic goes with its neighbours.
enum class Domain { kEither, kFloats, kIntegers };

Domain domain_of(DType dtype) {
  if (dtype == DType::kBool) return Domain::kEither;
  return model::is_float(dtype) ? Domain::kFloats : Domain::kIntegers;
}

Domain domain_of(const Node& node) {
  const DType from = node.input(0)->dtype;
  switch (node.op()) {
    case Op::kWhere: return domain_of(node.input(1)->dtype);
    case Op::kCast:
    case Op::kCastLike:
      // From integers to floats: they are floats once loaded.
      if (domain_of(from) == Domain::kIntegers && model::is_float(node.output()->dtype)) {
        return Domain::kFloats;
      }
      return domain_of(from);
    case Op::kPow: return model::is_float(node.input(1)->dtype) ? Domain::kFloats : domain_of(from);
    default: return domain_of(from);
  }
}

std::optional<Domain> joined(Domain a, Domain b) {
  if (a == Domain::kEither || a == b) return b;
  if (b == Domain::kEither) return a;
  return std::nullopt;
}

/// Whether the accumulator holds what a tensor of the dtype would, without rounding or wrapping.
bool carries(DType dtype) {
  return model::is_float(dtype) || dtype == DType::kBool || dtype == DType::kInt64;
}

bool commutes(PointwiseOp op) {
  using enum PointwiseOp;
  switch (op) {
    case kAdd:
    case kMul:
    case kMax:
    case kMin:
    case kAnd:
    case kOr:
    case kXor:
    case kEqual: return true;
    default: return false;
  }
}

/// Appends the instructions of one node to a chain whose accumulator holds input `held`.
class Appending {
 public:
  Appending(PointwiseChain& chain, const Node& node, int held)
      : chain_(chain), node_(node), held_(held) {}

  void run() {
    switch (node_.op()) {
      case Op::kBatchNormalization: return batch_norm();
      case Op::kCast:
      case Op::kCastLike: return cast();
      case Op::kClip: return clip();
      case Op::kMax:
      case Op::kMean:
      case Op::kMin:
      case Op::kSum: return variadic();
      case Op::kPow: return power();
      case Op::kWhere: return where();
      default: return node_.inputs().size() == 1 ? unary() : binary(named(), 1 - held_);
    }
  }

 private:
  PointwiseInstruction& add(PointwiseOp op) {
    if (!(chain_.integers ? info(op).integers : info(op).floats)) {
      Lowering::refuse(node_, fmt::format("{} has no form for {}", info(op).name,
                                          to_string(node_.input(0)->dtype)));
    }
    chain_.instructions.emplace_back().op = op;
    return chain_.instructions.back();
  }

  // A number when the value is a constant of one element.
  void operand(const Value* value, std::int8_t& index, float& real, std::int64_t& integer) {
    if (value->is_constant() && value->constant()->size() == 1) {
      index = PointwiseInstruction::kNumber;
      real = model::convert(*value->constant(), DType::kFloat32).as<float>()[0];
      integer = model::convert(*value->constant(), DType::kInt64).as<std::int64_t>()[0];
      return;
    }
    const auto found = std::find_if(chain_.tensors.begin(), chain_.tensors.end(),
                                    [&](const ChainTensor& t) { return t.value == value; });
    index = static_cast<std::int8_t>(found - chain_.tensors.begin());
    if (found == chain_.tensors.end()) chain_.tensors.push_back({value, nullptr});
  }
  void x(PointwiseInstruction& i, int input) {
    operand(node_.input(input), i.x, i.x_real, i.x_integer);
  }
  void y(PointwiseInstruction& i, int input) {
    operand(node_.input(input), i.y, i.y_real, i.y_integer);
  }
  void number(PointwiseInstruction& i, double value) {
    i.x = PointwiseInstruction::kNumber;
    i.x_real = static_cast<float>(value);
    i.x_integer = static_cast<std::int64_t>(value);
  }
  void made(PointwiseOp op, const std::vector<float>& values) {
    Shape shape(node_.output()->shape.size(), 1);
    shape[1] = static_cast<std::int64_t>(values.size());
    PointwiseInstruction& i = add(op);
    i.x = static_cast<std::int8_t>(chain_.tensors.size());
    chain_.tensors.push_back({nullptr, std::make_shared<Tensor>(Tensor::of<float>(values, shape))});
  }

  PointwiseOp named() const {
    const char* name = model::to_string(node_.op());
    if (node_.op() == Op::kGelu && node_.attributes.get_string("approximate", "none") == "tanh") {
      name = "GeluTanh";
    } else if (node_.op() == Op::kMod && chain_.integers &&
               node_.attributes.get_int("fmod", 0) != 0) {
      name = "ModTruncated";
    } else if (node_.op() == Op::kBitShift) {
      name =
          node_.attributes.get_string("direction", "LEFT") == "LEFT" ? "ShiftLeft" : "ShiftRight";
    }
    const PointwiseOp* op = find_pointwise_op(name);
    if (!op) Lowering::refuse(node_, "the pointwise kernel does not know it");
    return *op;
  }

  void unary() {
    const auto parameters = model::reference::activation_parameters(node_.op(), node_.attributes);
    PointwiseInstruction& i = add(named());
    i.alpha = parameters.alpha;
    i.beta = parameters.beta;
    if (node_.op() == Op::kIsInf) {
      i.alpha = parameters.detect_negative ? 1.0F : 0.0F;
      i.beta = parameters.detect_positive ? 1.0F : 0.0F;
    }
  }

  void binary(PointwiseOp op, int other) {
    PointwiseInstruction& i = add(op);
    x(i, other);
    i.swapped = other < held_ && !commutes(op);
  }

  void variadic() {
    const PointwiseOp op = node_.op() == Op::kMax   ? PointwiseOp::kMax
                           : node_.op() == Op::kMin ? PointwiseOp::kMin
                                                    : PointwiseOp::kAdd;
    const auto count = static_cast<int>(node_.inputs().size());
    for (int input = 0; input < count; ++input) {
      if (input != held_) binary(op, input);
    }
    if (node_.op() == Op::kMean) number(add(PointwiseOp::kDiv), count);
  }

  void clip() {
    if (node_.has_input(1)) x(add(PointwiseOp::kMax), 1);
    if (node_.has_input(2)) x(add(PointwiseOp::kMin), 2);
  }

  void where() {
    using enum PointwiseOp;
    PointwiseInstruction& i = add(held_ == 0 ? kSelect : held_ == 1 ? kKeepWhere : kKeepUnless);
    x(i, held_ == 0 ? 1 : 0);
    y(i, held_ == 2 ? 1 : 2);
  }

  void cast() {
    const DType from = node_.input(0)->dtype, to = node_.output()->dtype;
    if (to == DType::kBool) {
      if (from != DType::kBool) add(PointwiseOp::kNotZero);
    } else if (model::is_float(from) && !model::is_float(to)) {
      add(PointwiseOp::kTruncate);
    }
  }

  void power() {
    using enum PointwiseOp;
    const bool real = model::is_float(node_.input(0)->dtype);
    const auto exponent = compiler::scalar(node_.input(1));
    if (held_ == 0 && real && exponent) {
      if (*exponent == 1.0F) return;
      if (*exponent == 2.0F) return void(add(kSquare));
      if (*exponent == 0.5F) return void(add(kSqrt));
      if (*exponent == -1.0F) return void(add(kReciprocal));
    }
    binary(!real && !chain_.integers ? kPowTruncated : kPow, 1 - held_);
  }

  // (x - mean) * (scale / sqrt(variance + epsilon)) + bias, by channel.
  void batch_norm() {
    for (int input = 1; input < 5; ++input) {
      if (!node_.input(input)->is_constant()) {
        Lowering::refuse(
            node_, fmt::format("its input {} ({}) must be known when the plan is built", input,
                               node_.input(input)->name));
      }
    }
    const float epsilon = node_.attributes.get_float("epsilon", 1e-5F);
    std::vector<float> factors = compiler::floats_of(node_.input(1));
    const std::vector<float> variances = compiler::floats_of(node_.input(4));
    for (std::size_t k = 0; k < factors.size(); ++k) {
      factors[k] = static_cast<float>(factors[k] / std::sqrt(double{variances[k]} + epsilon));
    }
    made(PointwiseOp::kSub, compiler::floats_of(node_.input(3)));
    made(PointwiseOp::kMul, factors);
    made(PointwiseOp::kAdd, compiler::floats_of(node_.input(2)));
  }

 public:
  void load() { x(add(PointwiseOp::kLoad), held_); }

 private:
  PointwiseChain& chain_;
  const Node& node_;
  int held_;  // which input the accumulator holds
};

/// Inputs that may be the accumulator: {0, count}.
int accumulating_inputs(const Node& node) {
  switch (node.op()) {
    case Op::kBatchNormalization:
    case Op::kCastLike:
    case Op::kClip: return 1;
    default: return static_cast<int>(node.inputs().size());
  }
}

struct Draft {
  PointwiseChain chain;
  Domain domain = Domain::kEither;
};

Draft draft_of(const Node& node);

/// The draft of input `input`'s producer continued by `node`; none when the two cannot be one.
std::optional<Draft> continued(const Node& node, int input) {
  const Value* value = node.input(input);
  const Node* before = value ? value->producer() : nullptr;
  if (!before || !is_pointwise(*before) || value->only_reader() != &node ||
      value->shape != node.output()->shape || !carries(value->dtype)) {
    return std::nullopt;
  }
  Draft draft = draft_of(*before);
  const auto domain = joined(draft.domain, domain_of(node));
  if (!domain) return std::nullopt;
  draft.domain = *domain;
  draft.chain.integers = *domain == Domain::kIntegers;
  Appending(draft.chain, node, input).run();
  draft.chain.nodes.push_back(&node);
  if (draft.chain.instructions.size() > PointwiseParams::kMaxInstructions ||
      draft.chain.tensors.size() > PointwiseParams::kMaxTensors) {
    return std::nullopt;
  }
  return draft;
}

Draft draft_of(const Node& node) {
  for (int input = 0; input < accumulating_inputs(node); ++input) {
    if (auto draft = continued(node, input)) return std::move(*draft);
  }
  Draft draft;
  draft.domain = domain_of(node);
  draft.chain.integers = draft.domain == Domain::kIntegers;
  Appending appending(draft.chain, node, 0);
  appending.load();
  appending.run();
  draft.chain.nodes.push_back(&node);
  return draft;
}

}  // namespace

bool is_pointwise(const Node& node) {
  constexpr bool kPointwise[] = {
#define PEREGRINE_OP(name, min_in, max_in, min_out, max_out, promotion, shape, reference, cuda) \
  std::string_view(#cuda) == "pointwise",
#include "model/ops.def"
#undef PEREGRINE_OP
  };
  return kPointwise[static_cast<std::size_t>(node.op())];
}

PointwiseChain pointwise_chain(const Node& node) {
  PointwiseChain chain = draft_of(node).chain;
  if (chain.instructions.size() > PointwiseParams::kMaxInstructions ||
      chain.tensors.size() > PointwiseParams::kMaxTensors) {
    Lowering::refuse(node, fmt::format("it has {} inputs; one launch takes at most {}",
                                       node.inputs().size(), PointwiseParams::kMaxTensors));
  }
  return chain;
}

bool joins_its_reader(const Node& node) {
  const Node* reader = node.output()->only_reader();
  if (!reader || !is_pointwise(*reader)) return false;
  const auto nodes = draft_of(*reader).chain.nodes;
  return std::find(nodes.begin(), nodes.end(), &node) != nodes.end();
}

}  // namespace peregrine::cuda
