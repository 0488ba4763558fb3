// SPDX-License-Identifier: Apache-2.0
#include "model/onnx_tensor.h"

#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "model/onnx.pb.h"
#include "peregrine/error.h"

namespace peregrine::model {
namespace {

struct TypeRow {
  int onnx;
  DType dtype;
};
// TensorProto.DataType of the ONNX specification.
constexpr TypeRow kTypes[] = {
    {1, DType::kFloat32},   {2, DType::kUint8},    {3, DType::kInt8},    {4, DType::kUint16},
    {5, DType::kInt16},     {6, DType::kInt32},    {7, DType::kInt64},   {9, DType::kBool},
    {10, DType::kFloat16},  {11, DType::kFloat64}, {12, DType::kUint32}, {13, DType::kUint64},
    {16, DType::kBFloat16},
};

[[noreturn]] void fail(const std::string& path, const std::string& name, const std::string& what) {
  throw Error(ErrorCode::kModelInvalid,
              fmt::format("model '{}': tensor '{}' {}", path, name, what));
}

// Copies a typed field, narrowing each entry to the tensor's own type.
template <typename To, typename Field>
void copy_field(const Field& field, Tensor& tensor) {
  To* to = static_cast<To*>(tensor.data());
  for (const auto value : field) *to++ = static_cast<To>(value);
}

struct TypedField {
  std::int64_t count;
  void (*copy)(const onnx::TensorProto&, Tensor&);
};

// Which typed field holds a dtype, as the specification assigns them.
TypedField typed_field(const onnx::TensorProto& proto, DType dtype) {
  using Proto = onnx::TensorProto;
  switch (dtype) {
    case DType::kFloat32:
      return {proto.float_data_size(),
              +[](const Proto& p, Tensor& t) { copy_field<float>(p.float_data(), t); }};
    case DType::kFloat64:
      return {proto.double_data_size(),
              +[](const Proto& p, Tensor& t) { copy_field<double>(p.double_data(), t); }};
    case DType::kInt64:
      return {proto.int64_data_size(),
              +[](const Proto& p, Tensor& t) { copy_field<std::int64_t>(p.int64_data(), t); }};
    case DType::kUint32:
      return {proto.uint64_data_size(),
              +[](const Proto& p, Tensor& t) { copy_field<std::uint32_t>(p.uint64_data(), t); }};
    case DType::kUint64:
      return {proto.uint64_data_size(),
              +[](const Proto& p, Tensor& t) { copy_field<std::uint64_t>(p.uint64_data(), t); }};
    case DType::kInt32:
      return {proto.int32_data_size(),
              +[](const Proto& p, Tensor& t) { copy_field<std::int32_t>(p.int32_data(), t); }};
    case DType::kFloat16:  // the bits, in the low half of each entry
    case DType::kBFloat16:
    case DType::kInt16:
    case DType::kUint16:
      return {proto.int32_data_size(),
              +[](const Proto& p, Tensor& t) { copy_field<std::uint16_t>(p.int32_data(), t); }};
    case DType::kBool:
    case DType::kInt8:
    case DType::kUint8:
      return {proto.int32_data_size(),
              +[](const Proto& p, Tensor& t) { copy_field<std::uint8_t>(p.int32_data(), t); }};
  }
  return {0, nullptr};
}

std::int64_t parse_count(const std::string& text, const char* key, const std::string& name,
                         const std::string& path) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value < 0) {
    fail(path, name, fmt::format("has external data with {} '{}', which is no size", key, text));
  }
  return value;
}

void read_external(const onnx::TensorProto& proto, const std::string& name, const std::string& path,
                   DType dtype, const Shape& shape, Tensor& tensor) {
  std::string location;
  std::int64_t offset = 0;
  std::optional<std::int64_t> length;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = parse_count(entry.value(), "offset", name, path);
    if (entry.key() == "length") length = parse_count(entry.value(), "length", name, path);
  }
  read_external_data(location, offset, length, name, path, dtype, shape, tensor);
}

// ONNX stores a bool as any non-zero byte; reading another value than 0 and 1 through `bool` is
// undefined.
void canonicalize_bools(Tensor& tensor) {
  auto* bytes = static_cast<std::uint8_t*>(tensor.data());
  for (std::size_t i = 0; i < tensor.bytes(); ++i) bytes[i] = bytes[i] != 0;
}

}  // namespace

std::optional<DType> dtype_of_onnx(int data_type) {
  for (const TypeRow& row : kTypes) {
    if (row.onnx == data_type) return row.dtype;
  }
  return std::nullopt;
}

int onnx_of_dtype(DType dtype) {
  for (const TypeRow& row : kTypes) {
    if (row.dtype == dtype) return row.onnx;
  }
  throw Error(ErrorCode::kInternal, "a dtype without ONNX number");
}

Tensor read_tensor(const onnx::TensorProto& proto, const std::string& name,
                   const std::string& model_path) {
  const std::optional<DType> dtype = dtype_of_onnx(proto.data_type());
  if (!dtype) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("model '{}': tensor '{}' has ONNX data type {}, which is not supported "
                            "(supported: floats of 16 to 64 bits, integers of 8 to 64 bits, bool)",
                            model_path, name, proto.data_type()));
  }
  const Shape shape(proto.dims().begin(), proto.dims().end());
  std::size_t bytes = 0;
  try {
    bytes = byte_size(*dtype, shape);
  } catch (const Error& error) {
    fail(model_path, name, error.what());
  }
  constexpr int kExternal = 1;
  if (proto.has_segment()) fail(model_path, name, "is stored in segments, which no tool writes");
  Tensor tensor;
  if (proto.data_location() == kExternal) {
    read_external(proto, name, model_path, *dtype, shape, tensor);
  } else if (proto.has_raw_data()) {
    if (proto.raw_data().size() != bytes) {
      fail(model_path, name,
           fmt::format("of shape {} needs {} bytes but the file holds {}", to_string(shape), bytes,
                       proto.raw_data().size()));
    }
    tensor = Tensor(*dtype, shape);
    if (bytes > 0) std::memcpy(tensor.data(), proto.raw_data().data(), bytes);
  } else {
    const TypedField field = typed_field(proto, *dtype);
    if (field.count != element_count(shape)) {
      fail(model_path, name,
           fmt::format("of shape {} needs {} values but the file holds {}", to_string(shape),
                       element_count(shape), field.count));
    }
    tensor = Tensor(*dtype, shape);
    field.copy(proto, tensor);
  }
  if (*dtype == DType::kBool) canonicalize_bools(tensor);
  return tensor;
}

}  // namespace peregrine::model
