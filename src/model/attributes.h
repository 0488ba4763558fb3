// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "peregrine/tensor.h"

namespace peregrine::model {

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

/// One attribute as ONNX types it. Tensors are shared and never written.
using AttributeValue = std::variant<std::int64_t, float, std::string, Ints, Floats,
                                    std::vector<std::string>, std::shared_ptr<const Tensor>>;

/// A node's attributes by ONNX's names. Getters return the given default when the attribute is
/// absent and throw `Error(kModelInvalid)` when it has another type.
class Attributes {
 public:
  bool has(std::string_view name) const { return find(name) != nullptr; }
  void set(std::string name, AttributeValue value);
  void erase(std::string_view name);

  std::int64_t get_int(std::string_view name, std::int64_t otherwise) const;
  float get_float(std::string_view name, float otherwise) const;
  std::string get_string(std::string_view name, const std::string& otherwise) const;
  Ints get_ints(std::string_view name, const Ints& otherwise = {}) const;
  Floats get_floats(std::string_view name, const Floats& otherwise = {}) const;
  std::vector<std::string> get_strings(std::string_view name) const;
  /// Null when absent.
  std::shared_ptr<const Tensor> get_tensor(std::string_view name) const;

  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

 private:
  const AttributeValue* find(std::string_view name) const;
  template <typename T>
  T get(std::string_view name, const T& otherwise) const;

  std::vector<std::pair<std::string, AttributeValue>> values_;  // a handful: a scan is the fastest
};

}  // namespace peregrine::model
