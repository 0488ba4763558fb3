// SPDX-License-Identifier: Apache-2.0
#include "model/onnx_reader.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "model/model_file.h"
#include "model/normalize_opset.h"
#include "model/onnx.pb.h"
#include "model/onnx_tensor.h"
#include "model/shape_inference.h"
#include "peregrine/error.h"

namespace peregrine::model {
namespace {

// AttributeProto.AttributeType of the ONNX specification.
enum AttributeType { kFloat = 1, kInt, kString, kTensor, kGraph, kFloats, kInts, kStrings };

// Subgraphs inside subgraphs: more than any exporter nests, few enough for the stack.
constexpr int kMaxDepth = 16;

class Builder {
 public:
  Builder(onnx::ModelProto& model, const std::string& path) : model_(model) { graph_.path = path; }

  Graph build() {
    graph_.name = model_.graph().name();
    graph_.opset = opset_of(model_);
    graph_.ir_version = static_cast<int>(model_.ir_version());
    graph_.producer = model_.producer_name();
    if (!model_.producer_version().empty()) graph_.producer += " " + model_.producer_version();
    for (const auto& entry : model_.metadata_props()) graph_.metadata[entry.key()] = entry.value();
    Scope scope;
    onnx::GraphProto& body = *model_.mutable_graph();
    add_initializers(body, scope);
    add_inputs(body, scope);
    add_nodes(body, scope, 0);
    add_outputs(body, scope);
    refuse_dangling(graph_);
    graph_.sort();
    normalize_opset(graph_);
    return std::move(graph_);
  }

 private:
  using Scope = std::unordered_map<std::string, Value*>;

  [[noreturn]] void invalid(const std::string& what) const {
    throw Error(ErrorCode::kModelInvalid, fmt::format("model '{}': {}", graph_.path, what));
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    throw Error(ErrorCode::kModelUnsupported, fmt::format("model '{}': {}", graph_.path, what));
  }

  void add_initializers(onnx::GraphProto& body, Scope& scope) {
    if (body.sparse_initializer_size() > 0) unsupported("sparse initializers are not supported");
    for (onnx::TensorProto& proto : *body.mutable_initializer()) {
      if (proto.name().empty()) invalid("an initializer has no name");
      if (scope.contains(proto.name())) {
        invalid(fmt::format("the name '{}' stands for two initializers", proto.name()));
      }
      auto tensor = std::make_shared<Tensor>(read_tensor(proto, proto.name(), graph_.path));
      // The file's copy is given back at once: large models must not stand twice in memory.
      std::string().swap(*proto.mutable_raw_data());
      scope[proto.name()] = graph_.add_constant(proto.name(), std::move(tensor));
    }
  }

  void add_inputs(const onnx::GraphProto& body, Scope& scope) {
    std::set<std::string> seen;
    for (const onnx::ValueInfoProto& proto : body.input()) {
      if (proto.name().empty()) invalid("an input has no name");
      if (!seen.insert(proto.name()).second) {
        invalid(fmt::format("the name '{}' stands for two inputs", proto.name()));
      }
      // Files of IR version 3 list initializers among the inputs, as defaults.
      if (scope.contains(proto.name())) continue;
      if (!proto.type().has_tensor_type()) {
        unsupported(fmt::format("input '{}' is not a tensor", proto.name()));
      }
      const onnx::TypeProto::Tensor& type = proto.type().tensor_type();
      const std::optional<DType> dtype = dtype_of_onnx(type.elem_type());
      if (!dtype) {
        unsupported(fmt::format("input '{}' has ONNX data type {}, which is not supported",
                                proto.name(), type.elem_type()));
      }
      Value* value = graph_.add_value(proto.name(), *dtype);
      if (type.has_shape()) read_shape(type.shape(), *value);
      graph_.add_input(value);
      scope[proto.name()] = value;
    }
  }

  void read_shape(const onnx::TypeProto::TensorShape& shape, Value& value) {
    std::int64_t known = 1;
    for (const onnx::TypeProto::Dimension& dim : shape.dim()) {
      // Old exporters (Paddle's) write -1 for what is left open.
      const bool is_known = dim.has_dim_value() && dim.dim_value() >= 0;
      if (is_known &&
          __builtin_mul_overflow(known, dim.dim_value() ? dim.dim_value() : 1, &known)) {
        invalid(fmt::format("input '{}' has the absurd dimension {}", value.name, dim.dim_value()));
      }
      value.shape.push_back(is_known ? dim.dim_value() : -1);
      // "?" is no name: two of them need not be equal.
      value.dim_names.push_back(is_known || dim.dim_param() == "?" ? "" : dim.dim_param());
    }
    value.has_shape = true;
  }

  void add_nodes(onnx::GraphProto& body, Scope& scope, int depth) {
    if (depth > kMaxDepth) invalid("subgraphs are nested too deeply");
    for (int i = 0; i < body.node_size(); ++i) add_node(*body.mutable_node(i), scope, depth);
  }

  void add_node(onnx::NodeProto& proto, Scope& scope, int depth) {
    const std::string name = name_of(proto);
    const std::string& domain = proto.domain();
    const bool standard = domain.empty() || domain == "ai.onnx";
    if (standard && proto.op_type() == "Constant") return add_constant_node(proto, name, scope);
    if (standard && proto.op_type() == "If") return inline_if(proto, name, scope, depth);
    const std::optional<Op> op = standard ? find_onnx_op(proto.op_type()) : std::nullopt;
    if (!op) refuse_op(proto, name);
    std::vector<Value*> inputs;
    for (const std::string& input : proto.input()) inputs.push_back(use(input, scope));
    std::vector<Value*> outputs;
    for (const std::string& output : proto.output()) outputs.push_back(define(output, name, scope));
    while (!inputs.empty() && !inputs.back()) inputs.pop_back();
    while (!outputs.empty() && !outputs.back()) outputs.pop_back();
    check_arity(*op, name, inputs, outputs);
    Node* node = graph_.add_node(*op, name, std::move(inputs), std::move(outputs));
    for (onnx::AttributeProto& attribute : *proto.mutable_attribute()) {
      if (auto value = read_attribute(attribute, name)) {
        node->attributes.set(attribute.name(), std::move(*value));
      }
    }
  }

  // Exporters leave names out, or give two nodes the same: messages and `--bisect` need one each.
  std::string name_of(const onnx::NodeProto& proto) {
    std::string name = proto.name();
    if (name.empty()) {
      name = fmt::format("{}_{}", proto.op_type(), proto.output_size() > 0 ? proto.output(0) : "");
    }
    if (const int seen = names_[name]++; seen > 0) name += fmt::format("#{}", seen);
    return name;
  }

  [[noreturn]] void refuse_op(const onnx::NodeProto& proto, const std::string& name) {
    const std::string domain = proto.domain().empty() ? "ai.onnx" : proto.domain();
    for (const onnx::FunctionProto& function : model_.functions()) {
      if (function.name() == proto.op_type() && function.domain() == proto.domain()) {
        unsupported(
            fmt::format("node '{}' calls the model-local function '{}.{}'; inline functions "
                        "before export (onnx.inliner.inline_local_functions)",
                        name, domain, proto.op_type()));
      }
    }
    unsupported(
        fmt::format("node '{}' has op '{}' (opset {}, domain {}), which Peregrine does not "
                    "know; docs/onnx-support.md lists those it knows",
                    name, proto.op_type(), graph_.opset, domain));
  }

  void check_arity(Op op, const std::string& name, const std::vector<Value*>& inputs,
                   const std::vector<Value*>& outputs) {
    OpArity allowed = arity(op);
    if (op == Op::kConv || op == Op::kGemm) allowed.max_inputs = 3;  // the residual is ours
    if (op == Op::kMatMul) allowed.max_inputs = 2;                   // so are bias and residual
    const auto in = static_cast<int>(inputs.size());
    const auto out = static_cast<int>(outputs.size());
    bool complete = in >= allowed.min_inputs && in <= allowed.max_inputs &&
                    out >= allowed.min_outputs && out <= allowed.max_outputs;
    for (int i = 0; complete && i < allowed.min_inputs; ++i) {
      complete = inputs[static_cast<std::size_t>(i)] != nullptr;
    }
    if (!complete || outputs.empty() || !outputs[0]) {
      invalid(
          fmt::format("node '{}' ({}) has {} inputs and {} outputs, which its op does not allow",
                      name, to_string(op), in, out));
    }
  }

  // The value a name stands for; made on the spot when its producer comes later.
  Value* use(const std::string& name, Scope& scope) {
    if (name.empty()) return nullptr;
    Value*& value = scope[name];
    if (!value) value = graph_.add_value(name);
    return value;
  }

  Value* define(const std::string& name, const std::string& node, Scope& scope) {
    if (name.empty()) return nullptr;
    Value* value = use(name, scope);
    const auto& inputs = graph_.inputs();
    const bool is_input = std::find(inputs.begin(), inputs.end(), value) != inputs.end();
    if (value->producer() || value->is_constant() || is_input) {
      invalid(fmt::format("node '{}' produces '{}', which exists already", node, name));
    }
    return value;
  }

  void add_constant_node(onnx::NodeProto& proto, const std::string& name, Scope& scope) {
    if (proto.output_size() != 1 || proto.attribute_size() != 1 || proto.output(0).empty()) {
      invalid(fmt::format("node '{}' (Constant) needs one attribute and one output", name));
    }
    const auto value = read_attribute(*proto.mutable_attribute(0), name);
    std::shared_ptr<const Tensor> tensor;
    if (!value) invalid(fmt::format("node '{}' (Constant) holds no tensor", name));
    if (const auto* whole = std::get_if<std::shared_ptr<const Tensor>>(&*value)) {
      tensor = *whole;
    } else if (const auto* i = std::get_if<std::int64_t>(&*value)) {
      tensor = std::make_shared<Tensor>(Tensor::of<std::int64_t>({i, 1}, {}));
    } else if (const auto* f = std::get_if<float>(&*value)) {
      tensor = std::make_shared<Tensor>(Tensor::of<float>({f, 1}, {}));
    } else if (const auto* is = std::get_if<Ints>(&*value)) {
      tensor = std::make_shared<Tensor>(
          Tensor::of<std::int64_t>(*is, {static_cast<std::int64_t>(is->size())}));
    } else if (const auto* fs = std::get_if<Floats>(&*value)) {
      tensor =
          std::make_shared<Tensor>(Tensor::of<float>(*fs, {static_cast<std::int64_t>(fs->size())}));
    } else {
      unsupported(fmt::format("node '{}' (Constant) holds strings", name));
    }
    graph_.make_constant(define(proto.output(0), name, scope), std::move(tensor));
  }

  static std::optional<bool> known_bool(const Value* value) {
    if (!value->is_constant()) return std::nullopt;
    const Tensor& tensor = *value->constant();
    if (tensor.dtype() != DType::kBool || tensor.size() != 1) return std::nullopt;
    return tensor.as<bool>()[0];
  }

  // What inference makes of a value of the graph so far.
  std::optional<bool> inferred_bool(const Value* wanted, std::int64_t batch) const {
    Graph part = graph_.clone();
    const std::vector<Value*> values = graph_.values();
    const auto at = std::find(values.begin(), values.end(), wanted) - values.begin();
    Value* twin = part.values()[static_cast<std::size_t>(at)];
    part.add_output(twin, twin->name);
    part.remove_dead();
    refuse_dangling(part);
    part.sort();
    normalize_opset(part);
    infer(part, {.batch = batch});
    return known_bool(part.outputs()[0]);
  }

  // Exporters ask for ranks and lengths that they do not know (torch.tile, Tensor.squeeze). The
  // batch is open until the plan is built: one branch must do for all.
  std::optional<bool> condition_of(const Value* value) const {
    if (value->is_constant()) return known_bool(value);
    const auto is_open = [](const Value* input) {
      return std::find(input->shape.begin(), input->shape.end(), -1) != input->shape.end();
    };
    const bool open = std::any_of(graph_.inputs().begin(), graph_.inputs().end(), is_open);
    std::optional<bool> all;
    try {
      for (const std::int64_t batch : open ? Ints{1, 2, 3, 64} : Ints{0}) {
        const std::optional<bool> one = inferred_bool(value, batch);
        if (!one || (all && *all != *one)) return std::nullopt;
        all = one;
      }
    } catch (const Error&) {
      return std::nullopt;
    }
    return all;
  }

  // The branch that shapes or constants choose takes the place of its If; where data choose, or the
  // batch, it is refused.
  void inline_if(onnx::NodeProto& proto, const std::string& name, Scope& scope, int depth) {
    const Value* condition = proto.input_size() == 1 ? use(proto.input(0), scope) : nullptr;
    const std::optional<bool> chosen = condition ? condition_of(condition) : std::nullopt;
    if (!chosen) {
      unsupported(
          fmt::format("node '{}' (If) depends on data or on the batch; export the model without "
                      "control flow (a fixed branch)",
                      name));
    }
    const char* taken = *chosen ? "then_branch" : "else_branch";
    for (onnx::AttributeProto& attribute : *proto.mutable_attribute()) {
      if (attribute.name() != taken || !attribute.has_g()) continue;
      onnx::GraphProto& body = *attribute.mutable_g();
      if (body.output_size() != proto.output_size()) break;
      Scope inner = scope;
      // The branch writes straight to the If's outputs where it computes them itself.
      for (int i = 0; i < body.output_size(); ++i) {
        if (!inner.contains(body.output(i).name())) {
          inner[body.output(i).name()] = use(proto.output(i), scope);
        }
      }
      add_initializers(body, inner);
      add_nodes(body, inner, depth + 1);
      for (int i = 0; i < body.output_size(); ++i) {
        Value* outer = use(proto.output(i), scope);
        Value* made = inner[body.output(i).name()];
        if (made != outer) graph_.add_node(Op::kIdentity, name, {made}, std::vector<Value*>{outer});
      }
      return;
    }
    invalid(fmt::format("node '{}' (If) lacks its {}", name, taken));
  }

  std::optional<AttributeValue> read_attribute(onnx::AttributeProto& proto,
                                               const std::string& node) {
    if (proto.has_ref_attr_name()) {
      invalid(fmt::format("node '{}': attribute '{}' refers to a function that is not there", node,
                          proto.name()));
    }
    switch (proto.type()) {
      case kFloat: return proto.f();
      case kInt: return proto.i();
      case kString: return proto.s();
      case kFloats: return Floats(proto.floats().begin(), proto.floats().end());
      case kInts: return Ints(proto.ints().begin(), proto.ints().end());
      case kStrings:
        return std::vector<std::string>(proto.strings().begin(), proto.strings().end());
      case kTensor: {
        auto tensor = std::make_shared<Tensor>(
            read_tensor(proto.t(), node + ":" + proto.name(), graph_.path));
        std::string().swap(*proto.mutable_t()->mutable_raw_data());
        return std::shared_ptr<const Tensor>(std::move(tensor));
      }
      default:
        unsupported(
            fmt::format("node '{}': attribute '{}' has ONNX attribute type {}, which is not "
                        "supported",
                        node, proto.name(), proto.type()));
    }
  }

  void add_outputs(const onnx::GraphProto& body, Scope& scope) {
    if (body.output_size() == 0) invalid("the graph has no outputs");
    for (const onnx::ValueInfoProto& proto : body.output()) {
      const auto found = scope.find(proto.name());
      if (found == scope.end()) {
        invalid(fmt::format("nothing produces the output '{}'", proto.name()));
      }
      graph_.add_output(found->second, proto.name());
    }
  }

  void refuse_dangling(const Graph& graph) const {
    std::set<const Value*> sources(graph.inputs().begin(), graph.inputs().end());
    const auto dangles = [&](const Value* value) {
      return value && !value->producer() && !value->is_constant() && !sources.contains(value);
    };
    for (const Node* node : graph.nodes()) {
      for (const Value* value : node->inputs()) {
        if (!dangles(value)) continue;
        invalid(fmt::format("{} reads '{}', which nothing produces", describe(*node), value->name));
      }
    }
    for (const Value* value : graph.outputs()) {
      if (dangles(value)) invalid(fmt::format("nothing produces the output '{}'", value->name));
    }
  }

  onnx::ModelProto& model_;
  Graph graph_;
  std::unordered_map<std::string, int> names_;
};

}  // namespace

Graph read_onnx(std::span<const char> bytes, const std::string& path) {
  onnx::ModelProto model;
  parse_model(bytes, path, model);
  return Builder(model, path).build();
}

Graph read_onnx(const std::string& path) {
  onnx::ModelProto model;
  {
    const std::string bytes = read_model_bytes(path);
    parse_model(bytes, path, model);
  }
  return Builder(model, path).build();
}

}  // namespace peregrine::model
