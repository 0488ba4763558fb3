// SPDX-License-Identifier: Apache-2.0
#include "peregrine/tensor.h"

#include <cstdlib>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "peregrine/error.h"

namespace peregrine {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kInt8:
    case DType::kUint8:
    case DType::kBool: return 1;
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kInt16:
    case DType::kUint16: return 2;
    case DType::kFloat32:
    case DType::kInt32:
    case DType::kUint32: return 4;
    case DType::kFloat64:
    case DType::kInt64:
    case DType::kUint64: return 8;
  }
  throw Error(ErrorCode::kInternal, "unknown dtype");
}

const char* to_string(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return "float32";
    case DType::kFloat16: return "float16";
    case DType::kBFloat16: return "bfloat16";
    case DType::kFloat64: return "float64";
    case DType::kInt8: return "int8";
    case DType::kInt16: return "int16";
    case DType::kInt32: return "int32";
    case DType::kInt64: return "int64";
    case DType::kUint8: return "uint8";
    case DType::kUint16: return "uint16";
    case DType::kUint32: return "uint32";
    case DType::kUint64: return "uint64";
    case DType::kBool: return "bool";
  }
  return "?";
}

std::string to_string(Device device) {
  return device.is_cpu() ? "cpu" : fmt::format("cuda:{}", device.index);
}

std::string to_string(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i] < 0 ? "?" : std::to_string(shape[i]);
  }
  return text + "]";
}

std::int64_t element_count(std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  bool overflow = false;
  bool zero = false;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) {
      throw Error(ErrorCode::kInvalidShape,
                  fmt::format("shape {} has an unknown or negative dimension", to_string(shape)));
    }
    zero = zero || dimension == 0;
    overflow = __builtin_mul_overflow(count, dimension, &count) || overflow;
  }
  if (zero) return 0;
  if (overflow) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("shape {} has more elements than fit 64 bits", to_string(shape)));
  }
  return count;
}

std::size_t byte_size(DType dtype, std::span<const std::int64_t> shape) {
  const auto count = static_cast<std::size_t>(element_count(shape));
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, size_of(dtype), &bytes) ||
      bytes > static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max())) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("{} tensor of shape {} has more bytes than fit 63 bits",
                            to_string(dtype), to_string(shape)));
  }
  return bytes;
}

Shape packed_strides(std::span<const std::int64_t> shape) {
  element_count(shape);  // refuses negative dimensions and overflow
  Shape strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i] == 0 ? 1 : shape[i];
  }
  return strides;
}

TensorView::TensorView(void* data_, DType dtype_, Shape shape_, Device device_)
    : data(data_),
      dtype(dtype_),
      device(device_),
      shape(std::move(shape_)),
      strides(packed_strides(shape)) {
  byte_size(dtype, shape);
}

bool TensorView::is_packed() const {
  if (size() == 0) return true;
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != stride) return false;
    stride *= shape[i];
  }
  return true;
}

TensorView TensorView::slice(std::int64_t first, std::int64_t count) const {
  if (shape.empty() || first < 0 || count < 0 || first > shape[0] - count) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("slice of {} from {} is outside a tensor of shape {}", count, first,
                            to_string(shape)));
  }
  TensorView view = *this;
  view.shape[0] = count;
  view.data =
      static_cast<char*>(data) + first * strides[0] * static_cast<std::int64_t>(size_of(dtype));
  return view;
}

void TensorView::check_dtype(DType wanted) const {
  if (wanted != dtype) {
    throw Error(ErrorCode::kInvalidShape, fmt::format("tensor is {}, not {} as the caller asked",
                                                      to_string(dtype), to_string(wanted)));
  }
}

void Tensor::Free::operator()(void* memory) const noexcept { std::free(memory); }

Tensor::Tensor(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  constexpr std::size_t kAlignment = 64;  // one cache line, and the widest vector register
  const std::size_t bytes = byte_size(dtype_, shape_);
  if (bytes > std::numeric_limits<std::size_t>::max() - 2 * kAlignment) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("tensor of shape {} does not fit this host", to_string(shape_)));
  }
  const std::size_t padded = (bytes + kAlignment) / kAlignment * kAlignment;
  data_.reset(std::aligned_alloc(kAlignment, padded));
  if (!data_) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("the host has no {} bytes for a {} tensor of shape {}", bytes,
                            to_string(dtype_), to_string(shape_)));
  }
}

Tensor Tensor::zeros(DType dtype, Shape shape) {
  Tensor tensor(dtype, std::move(shape));
  std::memset(tensor.data(), 0, tensor.bytes());
  return tensor;
}

Tensor Tensor::clone() const {
  if (empty()) return {};
  Tensor copy(dtype_, shape_);
  std::memcpy(copy.data(), data(), bytes());
  return copy;
}

void Tensor::assign(const void* values, std::size_t count, std::size_t element_size) {
  if (static_cast<std::int64_t>(count) != size()) {
    throw Error(ErrorCode::kInvalidShape,
                fmt::format("{} values given for shape {}", count, to_string(shape_)));
  }
  if (count > 0) std::memcpy(data(), values, count * element_size);
}

}  // namespace peregrine
