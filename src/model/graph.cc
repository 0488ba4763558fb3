// SPDX-License-Identifier: Apache-2.0
#include "model/graph.h"

#include <algorithm>
#include <queue>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::model {

Node* Value::only_reader() const {
  return readers_.size() == 1 && graph_outputs_ == 0 ? readers_[0] : nullptr;
}

Value* Node::input(int index) const {
  const auto i = static_cast<std::size_t>(index);
  return i < inputs_.size() ? inputs_[i] : nullptr;
}

Value* Node::output(int index) const {
  const auto i = static_cast<std::size_t>(index);
  return i < outputs_.size() ? outputs_[i] : nullptr;
}

namespace {

void remove_one(std::vector<Node*>& readers, const Node* node) {
  const auto found = std::find(readers.begin(), readers.end(), node);
  if (found != readers.end()) readers.erase(found);
}

}  // namespace

void Node::set_input(int index, Value* value) {
  const auto i = static_cast<std::size_t>(index);
  if (i >= inputs_.size()) inputs_.resize(i + 1, nullptr);
  if (inputs_[i]) remove_one(inputs_[i]->readers_, this);
  inputs_[i] = value;
  if (value) value->readers_.push_back(this);
}

std::string describe(const Node& node) {
  return fmt::format("node '{}' ({})", node.name(), to_string(node.op()));
}

std::vector<Node*> Graph::nodes() const {
  std::vector<Node*> living;
  living.reserve(order_.size());
  std::copy_if(order_.begin(), order_.end(), std::back_inserter(living),
               [](const Node* node) { return node->alive(); });
  return living;
}

std::vector<Node*> Graph::nodes(Op op) const {
  std::vector<Node*> found;
  std::copy_if(order_.begin(), order_.end(), std::back_inserter(found),
               [op](const Node* node) { return node->alive() && node->op() == op; });
  return found;
}

std::vector<Value*> Graph::values() const {
  std::vector<Value*> used;
  for (const auto& value : values_) {
    const bool is_input = std::find(inputs_.begin(), inputs_.end(), value.get()) != inputs_.end();
    const bool read = !value->readers_.empty() || value->graph_outputs_ > 0;
    if (is_input || value->producer_ || (value->is_constant() && read)) used.push_back(value.get());
  }
  return used;
}

Value* Graph::find_value(const std::string& wanted) const {
  const auto found = by_name_.find(wanted);
  return found == by_name_.end() ? nullptr : found->second;
}

Node* Graph::find_node(const std::string& wanted) const {
  const auto found = std::find_if(order_.begin(), order_.end(), [&](const Node* node) {
    return node->alive() && node->name() == wanted;
  });
  return found == order_.end() ? nullptr : *found;
}

std::string Graph::unique_name(const std::string& wanted) {
  if (!by_name_.contains(wanted)) return wanted;
  for (int suffix = 1;; ++suffix) {
    std::string candidate = fmt::format("{}.{}", wanted, suffix);
    if (!by_name_.contains(candidate)) return candidate;
  }
}

Value* Graph::add_value(const std::string& wanted, DType dtype) {
  Value* value = values_.emplace_back(std::make_unique<Value>()).get();
  value->name = unique_name(wanted);
  value->dtype = dtype;
  by_name_[value->name] = value;
  return value;
}

Value* Graph::add_value(const std::string& wanted, DType dtype, Shape shape) {
  Value* value = add_value(wanted, dtype);
  value->shape = std::move(shape);
  value->has_shape = true;
  return value;
}

Value* Graph::add_constant(const std::string& wanted, std::shared_ptr<const Tensor> tensor) {
  Value* value = add_value(wanted, tensor->dtype(), tensor->shape());
  value->constant_ = std::move(tensor);
  return value;
}

Value* Graph::add_constant(const std::string& wanted, const Ints& values) {
  return add_constant(wanted, std::make_shared<Tensor>(Tensor::of<std::int64_t>(
                                  values, {static_cast<std::int64_t>(values.size())})));
}

void Graph::add_input(Value* value) { inputs_.push_back(value); }

void Graph::add_output(Value* value, const std::string& output_name) {
  outputs_.push_back(value);
  output_names_.push_back(output_name);
  ++value->graph_outputs_;
}

Node* Graph::add_node(Op op, const std::string& node_name, std::vector<Value*> inputs,
                      std::vector<Value*> outputs, const std::vector<Node*>& origins) {
  Node* node = nodes_.emplace_back(std::make_unique<Node>()).get();
  node->op_ = op;
  node->name_ = node_name;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    node->set_input(static_cast<int>(i), inputs[i]);
  }
  for (Value* output : outputs) {
    if (!output) continue;
    if (output->producer_ || output->is_constant()) {
      throw Error(ErrorCode::kModelInvalid,
                  fmt::format("model '{}': value '{}' is produced twice", path, output->name));
    }
    output->producer_ = node;
  }
  node->outputs_ = std::move(outputs);
  if (origins.empty()) node->origins_.push_back(node_name);
  for (const Node* origin : origins) join_origins(origin, node);
  order_.push_back(node);
  return node;
}

Node* Graph::add_node(Op op, const std::string& node_name, std::vector<Value*> inputs,
                      const std::vector<Node*>& origins) {
  const DType dtype = !inputs.empty() && inputs[0] ? inputs[0]->dtype : DType::kFloat32;
  Value* output = add_value(node_name + ":0", dtype);
  return add_node(op, node_name, std::move(inputs), std::vector<Value*>{output}, origins);
}

void Graph::replace(Value* old_value, Value* new_value) {
  if (old_value == new_value) return;
  const std::vector<Node*> readers = old_value->readers_;
  for (Node* reader : readers) {
    for (std::size_t i = 0; i < reader->inputs_.size(); ++i) {
      if (reader->inputs_[i] == old_value) reader->set_input(static_cast<int>(i), new_value);
    }
  }
  redirect_outputs(old_value, new_value);
}

void Graph::redirect_outputs(Value* old_value, Value* new_value) {
  for (Value*& output : outputs_) {
    if (output != old_value) continue;
    output = new_value;
    --old_value->graph_outputs_;
    ++new_value->graph_outputs_;
  }
}

void Graph::make_constant(Value* value, std::shared_ptr<const Tensor> tensor) {
  if (Node* producer_node = value->producer_) {
    for (Value*& output : producer_node->outputs_) {
      if (output == value) output = nullptr;
    }
    value->producer_ = nullptr;
  }
  value->dtype = tensor->dtype();
  value->shape = tensor->shape();
  value->has_shape = true;
  value->constant_ = std::move(tensor);
}

void Graph::release(Value* value) { value->constant_.reset(); }

void Graph::erase(Node* node) {
  for (std::size_t i = 0; i < node->inputs_.size(); ++i)
    node->set_input(static_cast<int>(i), nullptr);
  for (Value* output : node->outputs_) {
    if (!output) continue;
    if (!output->readers_.empty() || output->graph_outputs_ > 0) {
      throw Error(ErrorCode::kInternal,
                  fmt::format("{} is erased while its output is read", describe(*node)));
    }
    output->producer_ = nullptr;
  }
  node->alive_ = false;
}

void Graph::absorb(Node* node, Node* into) {
  Value* result = node->output();
  Value* between = into->output();
  const auto stays = [&](const Node* reader) { return reader != node; };
  if (between->graph_outputs_ > 0 ||
      std::any_of(between->readers_.begin(), between->readers_.end(), stays)) {
    throw Error(ErrorCode::kInternal, fmt::format("{} is absorbed while {}'s output has readers",
                                                  describe(*node), describe(*into)));
  }
  join_origins(node, into);
  result->producer_ = into;
  into->outputs_[0] = result;
  between->producer_ = nullptr;
  node->outputs_.clear();
  erase(node);
}

void Graph::join_origins(const Node* node, Node* into) {
  for (const std::string& origin : node->origins_) {
    auto& origins = into->origins_;
    if (std::find(origins.begin(), origins.end(), origin) == origins.end()) {
      origins.push_back(origin);
    }
  }
}

int Graph::remove_dead() {
  std::set<const Node*> needed;
  std::vector<const Value*> open(outputs_.begin(), outputs_.end());
  while (!open.empty()) {
    const Value* value = open.back();
    open.pop_back();
    const Node* node = value->producer_;
    if (!node || !needed.insert(node).second) continue;
    for (const Value* input : node->inputs_) {
      if (input) open.push_back(input);
    }
  }
  int removed = 0;
  const std::vector<Node*> living = nodes();
  // Readers first, so that each node's outputs are unread when its turn comes.
  for (auto node = living.rbegin(); node != living.rend(); ++node) {
    if (needed.contains(*node)) continue;
    erase(*node);
    ++removed;
  }
  if (removed > 0) order_ = nodes();
  return removed;
}

void Graph::sort() {
  order_ = nodes();
  for (std::size_t i = 0; i < order_.size(); ++i) order_[i]->position_ = i;
  std::unordered_map<const Node*, int> missing;
  const auto later = [](const Node* a, const Node* b) { return a->position_ > b->position_; };
  std::priority_queue<Node*, std::vector<Node*>, decltype(later)> ready(later);
  for (Node* node : order_) {
    int& count = missing[node];
    for (const Value* input : node->inputs_) count += input && input->producer_ ? 1 : 0;
    if (count == 0) ready.push(node);
  }
  std::vector<Node*> sorted;
  sorted.reserve(order_.size());
  while (!ready.empty()) {
    Node* node = ready.top();
    ready.pop();
    sorted.push_back(node);
    for (const Value* output : node->outputs_) {
      if (!output) continue;
      for (Node* reader : output->readers_) {
        if (--missing[reader] == 0) ready.push(reader);
      }
    }
  }
  if (sorted.size() != order_.size()) {
    const auto stuck = std::find_if(order_.begin(), order_.end(),
                                    [&](const Node* node) { return missing[node] > 0; });
    throw Error(ErrorCode::kModelInvalid,
                fmt::format("model '{}': {} depends on its own output", path, describe(**stuck)));
  }
  order_ = std::move(sorted);
}

Graph Graph::clone() const {
  Graph copy;
  copy.path = path;
  copy.name = name;
  copy.opset = opset;
  copy.ir_version = ir_version;
  copy.producer = producer;
  copy.metadata = metadata;
  copy.batch = batch;
  std::unordered_map<const Value*, Value*> twin{{nullptr, nullptr}};
  for (const Value* value : values()) {
    Value* made = copy.add_value(value->name, value->dtype);
    made->shape = value->shape;
    made->has_shape = value->has_shape;
    made->dim_names = value->dim_names;
    made->constant_ = value->constant_;
    twin[value] = made;
  }
  const auto twins = [&](const std::vector<Value*>& originals) {
    std::vector<Value*> made;
    made.reserve(originals.size());
    for (const Value* value : originals) made.push_back(twin.at(value));
    return made;
  };
  for (const Node* node : nodes()) {
    Node* made = copy.add_node(node->op_, node->name_, twins(node->inputs_), twins(node->outputs_));
    made->attributes = node->attributes;
    made->epilogue = node->epilogue;
    made->origins_ = node->origins_;
  }
  for (Value* input : inputs_) copy.add_input(twin.at(input));
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    copy.add_output(twin.at(outputs_[i]), output_names_[i]);
  }
  return copy;
}

}  // namespace peregrine::model
