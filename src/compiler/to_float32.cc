// SPDX-License-Identifier: Apache-2.0
#include "compiler/passes.h"
#include "compiler/rewrite.h"
#include "model/convert.h"
#include "model/onnx_tensor.h"

namespace peregrine::compiler {
namespace {

bool is_other_float(DType dtype) { return model::is_float(dtype) && dtype != DType::kFloat32; }

Node* add_cast(Graph& graph, const std::string& name, Value* from, DType to) {
  Node* cast = graph.add_node(Op::kCast, name, {from});
  cast->attributes.set("to", static_cast<std::int64_t>(model::onnx_of_dtype(to)));
  cast->output()->dtype = to;
  cast->output()->shape = from->shape;
  cast->output()->has_shape = true;
  return cast;
}

// The caller keeps giving and taking what the file says.
int cast_interface(Graph& graph) {
  int changed = 0;
  for (Value* input : graph.inputs()) {
    if (!is_other_float(input->dtype)) continue;
    Node* cast = add_cast(graph, input->name + ":to_float32", input, DType::kFloat32);
    graph.replace(input, cast->output());
    cast->set_input(0, input);
    ++changed;
  }
  for (Value* output : std::vector<Value*>(graph.outputs())) {
    if (!is_other_float(output->dtype) || !output->is_graph_output()) continue;
    graph.redirect_outputs(
        output, add_cast(graph, output->name + ":to_dtype", output, output->dtype)->output());
    ++changed;
  }
  return changed;
}

// Attributes that name a dtype.
void widen_attributes(Node& node) {
  for (const char* name : {"to", "dtype", "output_dtype"}) {
    const auto dtype = model::dtype_of_onnx(static_cast<int>(node.attributes.get_int(name, 0)));
    if (dtype && is_other_float(*dtype)) {
      node.attributes.set(name, static_cast<std::int64_t>(model::onnx_of_dtype(DType::kFloat32)));
    }
  }
  const auto value =
      node.op() == Op::kConstantOfShape ? node.attributes.get_tensor("value") : nullptr;
  if (value && is_other_float(value->dtype())) {
    node.attributes.set("value",
                        std::make_shared<const Tensor>(model::convert(*value, DType::kFloat32)));
  }
}

}  // namespace

int to_float32(Graph& graph) {
  const std::vector<Node*> own = graph.nodes();
  int changed = cast_interface(graph);
  for (Node* node : own) {
    widen_attributes(*node);
    for (std::size_t i = 0; i < node->inputs().size(); ++i) {
      Value* input = node->inputs()[i];
      if (!input || !input->is_constant() || !is_other_float(input->dtype)) continue;
      Value* wide = graph.add_constant(
          input->name + ":float32",
          std::make_shared<Tensor>(model::convert(*input->constant(), DType::kFloat32)));
      graph.replace(input, wide);
      ++changed;
    }
    for (Value* output : node->outputs()) {
      if (output && is_other_float(output->dtype)) output->dtype = DType::kFloat32;
    }
  }
  graph.sort();
  return changed;
}

}  // namespace peregrine::compiler
