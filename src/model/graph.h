// SPDX-License-Identifier: Apache-2.0
// The graph: our intermediate representation of a model, and what every pass reads and rewrites.
//
// Values are tensors, nodes compute them, a graph owns both. Addresses are stable: a `Node*` or
// `Value*` lives as long as its graph, also after `erase` (then `alive()` is false), so a pass may
// hold them over any rewriting. Edges are kept on both sides: only Graph and Node change them.
//
// A typical pass:
//   for (Node* conv : graph.nodes(Op::kConv)) {          // a snapshot: rewriting inside is fine
//     Node* relu = conv->output()->only_reader();
//     if (!relu || relu->op() != Op::kRelu) continue;
//     conv->epilogue.activation = Op::kRelu;
//     graph.absorb(relu, conv);                           // conv now makes relu's output
//   }
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/attributes.h"
#include "model/ops.h"
#include "peregrine/tensor.h"

namespace peregrine::model {

class Graph;
class Node;

/// A tensor of the graph. `shape` holds -1 for a dimension not known yet and is meaningless until
/// `has_shape`; after `infer` every value has a full shape.
class Value {
 public:
  std::string name;  ///< ONNX's name; unique in its graph
  DType dtype = DType::kFloat32;
  Shape shape;
  bool has_shape = false;
  /// Names of symbolic dimensions ("batch"), "" where known; filled for the graph's inputs only.
  std::vector<std::string> dim_names;

  /// Null for inputs and constants.
  Node* producer() const { return producer_; }
  /// One entry a use: a node that reads the value twice stands here twice.
  const std::vector<Node*>& readers() const { return readers_; }
  /// The only use of the value: null when there are more or none, or when it is a graph output.
  Node* only_reader() const;
  bool is_graph_output() const { return graph_outputs_ > 0; }
  bool is_constant() const { return constant_ != nullptr; }
  /// The contents of a constant, else null. Shared between clones of a graph; never written.
  const std::shared_ptr<const Tensor>& constant() const { return constant_; }
  int rank() const { return static_cast<int>(shape.size()); }

 private:
  friend class Graph;
  friend class Node;
  Node* producer_ = nullptr;
  std::vector<Node*> readers_;
  int graph_outputs_ = 0;
  std::shared_ptr<const Tensor> constant_;
};

/// What a node does to its result before it is stored, so that the following nodes need not exist.
/// y = op(inputs); then, by `residual`: act(y), act(y + r) or act(y) + r, where r is the node's
/// last input (Conv and Gemm: input 3; a missing bias is then a null input 2).
struct Epilogue {
  enum class Residual : std::uint8_t { kNone, kBeforeActivation, kAfterActivation };
  Op activation = Op::kIdentity;  ///< kIdentity: none; else an elementwise op of one input
  /// Of that op: alpha, beta, approximate. For kClip (ReLU6): alpha is the minimum, beta the
  /// maximum.
  Attributes activation_attributes;
  Residual residual = Residual::kNone;

  bool empty() const { return activation == Op::kIdentity && residual == Residual::kNone; }
};

/// One operation.
class Node {
 public:
  Op op() const { return op_; }
  /// ONNX's node name ("/model.0/conv/Conv"), made up from op and output where the file has none.
  const std::string& name() const { return name_; }
  /// Names of the ONNX nodes whose work this node does, its own first: errors and `validate
  /// --bisect` speak in these.
  const std::vector<std::string>& origins() const { return origins_; }
  bool alive() const { return alive_; }

  /// Inputs in ONNX's order; null stands for an optional input that is absent.
  const std::vector<Value*>& inputs() const { return inputs_; }
  /// The input at `index`, null when absent or beyond the last one.
  Value* input(int index) const;
  bool has_input(int index) const { return input(index) != nullptr; }
  /// Grows the list with absent inputs where needed.
  void set_input(int index, Value* value);
  const std::vector<Value*>& outputs() const { return outputs_; }
  Value* output(int index = 0) const;

  Attributes attributes;
  Epilogue epilogue;  ///< used by Conv, ConvTranspose, Gemm and MatMul only

 private:
  friend class Graph;
  Op op_ = Op::kIdentity;
  std::string name_;
  std::vector<std::string> origins_;
  std::vector<Value*> inputs_;
  std::vector<Value*> outputs_;
  bool alive_ = true;
  std::size_t position_ = 0;  // scratch of Graph::sort
};

/// "node '/model.23/Resize' (Resize)": how every message names a node.
std::string describe(const Node& node);

/// A whole model. Movable; `clone` copies it deeply but for the constants.
class Graph {
 public:
  Graph() = default;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;

  std::string path;                             ///< the file it came from, for messages
  std::string name;                             ///< ONNX's graph name
  int opset = 0;                                ///< of domain ai.onnx in the file
  int ir_version = 0;                           ///< of the file
  std::string producer;                         ///< such as "pytorch 2.5.0"
  std::map<std::string, std::string> metadata;  ///< ONNX metadata_props, verbatim
  std::int64_t batch = 0;                       ///< what `infer` bound the batch to, 0 before

  /// In the file's order. Inputs are values without producer that are no constants.
  const std::vector<Value*>& inputs() const { return inputs_; }
  const std::vector<Value*>& outputs() const { return outputs_; }
  /// The file's names of the outputs: they stay when a rewrite makes another value the output.
  const std::vector<std::string>& output_names() const { return output_names_; }

  /// Snapshot of the living nodes, each after the producers of its inputs (see `sort`).
  std::vector<Node*> nodes() const;
  /// Snapshot of those with `op`.
  std::vector<Node*> nodes(Op op) const;
  /// Every value in use: inputs, constants that are read, and outputs of living nodes.
  std::vector<Value*> values() const;
  /// Null when there is none.
  Value* find_value(const std::string& name) const;
  Node* find_node(const std::string& name) const;

  /// Makes a value. The name gets a suffix when it is taken.
  Value* add_value(const std::string& name, DType dtype = DType::kFloat32);
  Value* add_value(const std::string& name, DType dtype, Shape shape);
  Value* add_constant(const std::string& name, std::shared_ptr<const Tensor> tensor);
  /// An int64 vector, the form of axes, shapes and pads.
  Value* add_constant(const std::string& name, const Ints& values);
  void add_input(Value* value);
  void add_output(Value* value, const std::string& name);

  /// Appends a node with fresh outputs of inputs[0]'s dtype, or with the given ones, which must
  /// have no producer. `origins`: nodes whose work it takes over.
  Node* add_node(Op op, const std::string& name, std::vector<Value*> inputs,
                 std::vector<Value*> outputs, const std::vector<Node*>& origins = {});
  Node* add_node(Op op, const std::string& name, std::vector<Value*> inputs,
                 const std::vector<Node*>& origins = {});

  /// Every reader and graph output of `old_value` takes `new_value` instead.
  void replace(Value* old_value, Value* new_value);
  /// Graph outputs that were `old_value` become `new_value`; readers stay.
  void redirect_outputs(Value* old_value, Value* new_value);
  /// Gives a value contents: its producer loses it and its readers see a constant.
  void make_constant(Value* value, std::shared_ptr<const Tensor> tensor);
  /// Lets go of the contents of a constant that nobody reads any more.
  void release(Value* value);
  /// Takes a node out. Its outputs must be unread or replaced before.
  void erase(Node* node);
  /// `into` takes over the single output of `node`, which ends; `into`'s own output must have no
  /// other reader than `node`. Origins are joined.
  void absorb(Node* node, Node* into);
  /// `into` becomes one more name for the work of `node`.
  void join_origins(const Node* node, Node* into);
  /// Removes nodes that no graph output depends on. Returns how many.
  int remove_dead();
  /// Restores the order "producers first", keeping the present order where it can. Throws
  /// `Error(kModelInvalid)` naming a node of a cycle.
  void sort();

  /// Same structure, own nodes and values; constants are shared.
  Graph clone() const;

 private:
  std::string unique_name(const std::string& name);

  std::vector<std::unique_ptr<Value>> values_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Node*> order_;
  std::vector<Value*> inputs_;
  std::vector<Value*> outputs_;
  std::vector<std::string> output_names_;
  std::map<std::string, Value*> by_name_;
};

}  // namespace peregrine::model
