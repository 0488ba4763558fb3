// SPDX-License-Identifier: Apache-2.0
#include "compiler/plan_codec.h"

#include <bit>
#include <concepts>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::compiler {
namespace {

static_assert(std::endian::native == std::endian::little, "plan files are little-endian");

using model::Attributes;
using model::AttributeValue;
using model::Op;

// A description below serves writer and reader, which differ in constness alone.
template <typename Given, typename Wanted>
concept Is = std::same_as<std::remove_const_t<Given>, Wanted>;

template <typename T>
concept Number = std::is_arithmetic_v<T> || std::is_enum_v<T>;

class Writer {
 public:
  static constexpr bool kReads = false;

  template <typename... Fields>
  void operator()(const Fields&... fields) {
    (put(fields), ...);
  }
  void raw(const void* data, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  template <Number T>
  void put(T value) {
    raw(&value, sizeof(value));
  }
  void put(const std::string& text) {
    put(static_cast<std::uint32_t>(text.size()));
    raw(text.data(), text.size());
  }
  template <Number T>
  void put(const std::vector<T>& numbers) {
    put(static_cast<std::uint32_t>(numbers.size()));
    raw(numbers.data(), numbers.size() * sizeof(T));
  }
  template <typename T>
  void put(const std::vector<T>& list) {
    put(static_cast<std::uint32_t>(list.size()));
    for (const T& each : list) put(each);
  }
  void put(const std::map<std::string, std::string>& entries) {
    put(static_cast<std::uint32_t>(entries.size()));
    for (const auto& [key, value] : entries) (*this)(key, value);
  }
  void put(const Attributes& attributes);
  template <typename T>
  requires std::is_class_v<T>
  void put(const T& value) { describe(*this, value); }

  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  static constexpr bool kReads = true;
  explicit Reader(std::span<const std::byte> bytes) : left_(bytes), size_(bytes.size()) {}

  template <typename... Fields>
  void operator()(Fields&... fields) {
    (get(fields), ...);
  }
  std::span<const std::byte> raw(std::size_t size) {
    if (size > left_.size()) fail(fmt::format("{} bytes wanted, {} are left", size, left_.size()));
    const auto piece = left_.first(size);
    left_ = left_.subspan(size);
    return piece;
  }
  void expect_end() const {
    if (!left_.empty()) fail(fmt::format("{} bytes too many", left_.size()));
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw MalformedPlan(fmt::format("byte {}: {}", size_ - left_.size(), what));
  }

 private:
  template <Number T>
  void get(T& value) {
    std::memcpy(&value, raw(sizeof(value)).data(), sizeof(value));
  }
  void get(std::string& text) {
    const auto bytes = raw(length());
    text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  template <Number T>
  void get(std::vector<T>& numbers) {
    const std::size_t count = length();
    const auto bytes = raw(count * sizeof(T));
    numbers.resize(count);
    if (count > 0) std::memcpy(numbers.data(), bytes.data(), bytes.size());
  }
  // Grown as elements arrive, never by the count alone: each takes its bytes from what is left.
  template <typename T>
  void get(std::vector<T>& list) {
    list.clear();
    for (std::size_t count = length(); count > 0; --count) get(list.emplace_back());
  }
  void get(std::map<std::string, std::string>& entries) {
    for (std::size_t count = length(); count > 0; --count) {
      std::string key;
      get(key);
      get(entries[key]);
    }
  }
  void get(Attributes& attributes);
  template <typename T>
  requires std::is_class_v<T>
  void get(T& value) { describe(*this, value); }
  std::size_t length() {
    std::uint32_t count = 0;
    get(count);
    return count;
  }

  std::span<const std::byte> left_;
  std::size_t size_;
};

// Names, not numbers: the op table grows in the middle.
std::optional<Op> find_op(std::string_view name) {
  for (int i = 0; i < model::kOpCount; ++i) {
    if (name == model::to_string(static_cast<Op>(i))) return static_cast<Op>(i);
  }
  return std::nullopt;
}

template <typename Archive>
void describe(Archive& archive, Is<TensorSpec> auto& spec) {
  archive(spec.name, spec.dtype, spec.shape);
}

template <typename Archive>
void describe(Archive& archive, Is<PlanIdentity> auto& identity) {
  archive(identity.model_name, identity.model_sha256, identity.precision, identity.device_name,
          identity.sm, identity.multiprocessors, identity.driver_version, identity.runtime_version,
          identity.peregrine_version);
}

template <typename Archive>
void describe(Archive& archive, Is<Operand> auto& operand) {
  archive(operand.region, operand.index, operand.offset, operand.dtype, operand.shape,
          operand.strides, operand.value);
}

template <typename Archive>
void describe(Archive& archive, Is<model::Epilogue> auto& epilogue) {
  std::string activation = model::to_string(epilogue.activation);
  archive(activation, epilogue.activation_attributes, epilogue.residual);
  if constexpr (Archive::kReads) {
    const auto op = find_op(activation);
    if (!op) archive.fail("an activation that this build does not know");
    epilogue.activation = *op;
  }
}

template <typename Archive>
void describe(Archive& archive, Is<Step> auto& step) {
  archive(step.kernel, step.name, step.origins, step.inputs, step.outputs, step.attributes,
          step.epilogue, step.tactic, step.flops, step.microseconds, step.stream, step.waits);
}

template <typename Archive>
void describe(Archive& archive, Is<Program> auto& program) {
  archive(program.batch, program.streams, program.arena_bytes, program.peak_bytes,
          program.microseconds, program.steps);
}

template <typename Archive>
void describe_manifest(Archive& archive, Is<Plan> auto& plan) {
  archive(plan.identity, plan.inputs, plan.outputs, plan.metadata);
}

using SharedTensor = std::shared_ptr<const Tensor>;

// --- attributes: name, which of the variant's types, value ---

void write_value(Writer& writer, const SharedTensor& tensor) {
  writer(tensor->dtype(), tensor->shape());
  writer.raw(tensor->data(), tensor->bytes());
}
void write_value(Writer& writer, const auto& value) { writer(value); }

void Writer::put(const Attributes& attributes) {
  put(static_cast<std::uint32_t>(std::distance(attributes.begin(), attributes.end())));
  for (const auto& [name, value] : attributes) {
    (*this)(name, static_cast<std::uint8_t>(value.index()));
    std::visit([this](const auto& held) { write_value(*this, held); }, value);
  }
}

void read_value(Reader& reader, SharedTensor& value) {
  DType dtype{};
  Shape shape;
  reader(dtype, shape);
  if (dtype > DType::kBool) reader.fail("a tensor of unknown dtype");
  std::size_t size = 0;
  try {
    size = byte_size(dtype, shape);
  } catch (const Error& impossible) {
    reader.fail(impossible.what());
  }
  const auto bytes = reader.raw(size);  // before memory is taken
  Tensor tensor(dtype, shape);
  if (size > 0) std::memcpy(tensor.data(), bytes.data(), size);
  value = std::make_shared<const Tensor>(std::move(tensor));
}
void read_value(Reader& reader, auto& value) { reader(value); }

template <std::size_t kIndex = 0>
AttributeValue read_alternative(Reader& reader, std::size_t index) {
  if constexpr (kIndex == std::variant_size_v<AttributeValue>) {
    reader.fail("an attribute of unknown type");
  } else {
    if (index != kIndex) return read_alternative<kIndex + 1>(reader, index);
    std::variant_alternative_t<kIndex, AttributeValue> value{};
    read_value(reader, value);
    return value;
  }
}

void Reader::get(Attributes& attributes) {
  constexpr std::size_t kMost =
      256;  // looked up by scanning: more would be slow, and no op has them
  std::size_t count = length();
  if (count > kMost) fail(fmt::format("a step with {} attributes", count));
  for (; count > 0; --count) {
    std::string name;
    std::uint8_t index = 0;
    (*this)(name, index);
    if (attributes.has(name)) fail("an attribute that is there twice");
    attributes.set(std::move(name), read_alternative(*this, index));
  }
}

}  // namespace

std::vector<std::byte> encode_manifest(const Plan& plan) {
  Writer writer;
  describe_manifest(writer, plan);
  return writer.take();
}

std::vector<std::byte> encode_programs(const std::vector<Program>& programs) {
  Writer writer;
  writer(programs);
  return writer.take();
}

std::vector<std::byte> encode_step(const Step& step) {
  Writer writer;
  writer(step);
  return writer.take();
}

void decode_manifest(std::span<const std::byte> bytes, Plan& plan) {
  Reader reader(bytes);
  describe_manifest(reader, plan);
  reader.expect_end();
}

std::vector<Program> decode_programs(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  std::vector<Program> programs;
  reader(programs);
  reader.expect_end();
  return programs;
}

}  // namespace peregrine::compiler
