// SPDX-License-Identifier: Apache-2.0
#include "model/attributes.h"

#include <algorithm>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::model {

const AttributeValue* Attributes::find(std::string_view name) const {
  for (const auto& [key, value] : values_) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Attributes::set(std::string name, AttributeValue value) {
  erase(name);
  values_.emplace_back(std::move(name), std::move(value));
}

void Attributes::erase(std::string_view name) {
  std::erase_if(values_, [&](const auto& each) { return each.first == name; });
}

template <typename T>
T Attributes::get(std::string_view name, const T& otherwise) const {
  const AttributeValue* value = find(name);
  if (!value) return otherwise;
  if (const T* typed = std::get_if<T>(value)) return *typed;
  throw Error(ErrorCode::kModelInvalid,
              fmt::format("attribute '{}' does not have the type its op demands", name));
}

std::int64_t Attributes::get_int(std::string_view name, std::int64_t otherwise) const {
  return get(name, otherwise);
}
float Attributes::get_float(std::string_view name, float otherwise) const {
  return get(name, otherwise);
}
std::string Attributes::get_string(std::string_view name, const std::string& otherwise) const {
  return get(name, otherwise);
}
Ints Attributes::get_ints(std::string_view name, const Ints& otherwise) const {
  return get(name, otherwise);
}
Floats Attributes::get_floats(std::string_view name, const Floats& otherwise) const {
  return get(name, otherwise);
}
std::vector<std::string> Attributes::get_strings(std::string_view name) const {
  return get(name, std::vector<std::string>());
}
std::shared_ptr<const Tensor> Attributes::get_tensor(std::string_view name) const {
  return get(name, std::shared_ptr<const Tensor>());
}

}  // namespace peregrine::model
