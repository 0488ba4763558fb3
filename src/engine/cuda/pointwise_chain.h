// SPDX-License-Identifier: Apache-2.0
// Which pointwise nodes run in one launch. A node that is read once, by another pointwise node of
// the same shape, needs no launch and no memory of its own: it becomes the beginning of its
// reader's chain.
#pragma once

#include <memory>
#include <vector>

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/pointwise.h"
#include "model/graph.h"

namespace peregrine::cuda {

class Lowering;

/// A tensor that a chain reads: a value of the graph, or numbers made up for the chain (a batch
/// norm's factors).
struct ChainTensor {
  const model::Value* value = nullptr;
  std::shared_ptr<const Tensor> made;
};

struct PointwiseChain {
  bool integers = false;  ///< computes in int64, else in float32
  std::vector<PointwiseInstruction> instructions;
  std::vector<ChainTensor> tensors;       ///< what the instructions' operands count
  std::vector<const model::Node*> nodes;  ///< in the order they run; the last is the one asked for
};

/// Whether the node's lowering (ops.def) is a pointwise chain.
bool is_pointwise(const model::Node& node);

/// The chain that ends with `node`, with all it can take in. Throws `Error(kModelUnsupported)`
/// naming the node when it has no form for its dtypes.
PointwiseChain pointwise_chain(const model::Node& node);

/// Whether the chain of the node's only reader takes it in, so that it needs no step.
bool joins_its_reader(const model::Node& node);

/// Emits `step` with the chain, whose operands count `inputs`; they broadcast to `output`. Refuses
/// `node` where the kernel cannot walk them.
void emit_chain(Lowering& to, const model::Node& node, compiler::Step step,
                const PointwiseChain& chain, std::vector<compiler::Operand> inputs,
                const compiler::Operand& output);

/// A chain as a step's attributes, and a step as what the kernel takes. The second throws
/// `Error(kModelInvalid)` when the step, which may come from a file, holds no valid chain.
void write_chain(const PointwiseChain& chain, model::Attributes& to);
PointwiseParams pointwise_params(const BoundStep& step);

}  // namespace peregrine::cuda
