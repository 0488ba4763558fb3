// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "peregrine/export.h"

namespace peregrine {

enum class DType : std::uint8_t {
  kFloat32,
  kFloat16,
  kBFloat16,
  kFloat64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kBool,
};

/// Size of one element in bytes.
PEREGRINE_API std::size_t size_of(DType dtype);
/// "float32", "int64", ...: NumPy's names, "bfloat16" for the one NumPy lacks.
PEREGRINE_API const char* to_string(DType dtype);

template <typename T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::kFloat32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::kFloat64;
};
template <>
struct dtype_of<std::int8_t> {
  static constexpr DType value = DType::kInt8;
};
template <>
struct dtype_of<std::int16_t> {
  static constexpr DType value = DType::kInt16;
};
template <>
struct dtype_of<std::int32_t> {
  static constexpr DType value = DType::kInt32;
};
template <>
struct dtype_of<std::int64_t> {
  static constexpr DType value = DType::kInt64;
};
template <>
struct dtype_of<std::uint8_t> {
  static constexpr DType value = DType::kUint8;
};
template <>
struct dtype_of<std::uint16_t> {
  static constexpr DType value = DType::kUint16;
};
template <>
struct dtype_of<std::uint32_t> {
  static constexpr DType value = DType::kUint32;
};
template <>
struct dtype_of<std::uint64_t> {
  static constexpr DType value = DType::kUint64;
};
template <>
struct dtype_of<bool> {
  static constexpr DType value = DType::kBool;
};

/// Where memory lives.
struct Device {
  enum class Kind : std::uint8_t { kCpu, kCuda };
  Kind kind = Kind::kCpu;
  int index = 0;

  static constexpr Device cpu() { return {}; }
  static constexpr Device cuda(int index = 0) { return {Kind::kCuda, index}; }
  constexpr bool is_cpu() const { return kind == Kind::kCpu; }
  friend constexpr bool operator==(Device, Device) = default;
};
/// "cpu" or "cuda:N".
PEREGRINE_API std::string to_string(Device device);

/// Dimensions, outermost first. -1 stands for a dimension that is not known yet (a symbolic batch).
using Shape = std::vector<std::int64_t>;

/// Product of the dimensions. Throws `Error(kInvalidShape)` when one is negative or the product
/// overflows.
PEREGRINE_API std::int64_t element_count(std::span<const std::int64_t> shape);
/// Bytes of a packed tensor. Throws `Error(kInvalidShape)` like `element_count`.
PEREGRINE_API std::size_t byte_size(DType dtype, std::span<const std::int64_t> shape);
/// Row-major strides in elements. Throws `Error(kInvalidShape)` on overflow.
PEREGRINE_API Shape packed_strides(std::span<const std::int64_t> shape);
/// "[1, 3, 640, 640]"; unknown dimensions print as "?".
PEREGRINE_API std::string to_string(std::span<const std::int64_t> shape);
inline std::string to_string(const Shape& shape) {
  return to_string(std::span<const std::int64_t>(shape));
}

/// Somebody else's memory with a dtype, a shape and strides (in elements). Never owns; copying
/// copies the view.
struct PEREGRINE_API TensorView {
  void* data = nullptr;
  DType dtype = DType::kFloat32;
  Device device;
  Shape shape;
  Shape strides;

  TensorView() = default;
  /// A packed (row-major, contiguous) view. Throws `Error(kInvalidShape)` on overflow.
  TensorView(void* data, DType dtype, Shape shape, Device device = Device::cpu());

  int rank() const { return static_cast<int>(shape.size()); }
  std::int64_t size() const { return element_count(shape); }
  bool is_packed() const;  ///< an empty one always is
  /// Typed pointer. Throws `Error(kInvalidShape)` when `T` is not the view's dtype.
  template <typename T>
  T* as() const {
    check_dtype(dtype_of<std::remove_const_t<T>>::value);
    return static_cast<T*>(data);
  }
  /// View of `count` entries of the outermost dimension from `first`. Throws `Error(kInvalidShape)`
  /// outside it.
  TensorView slice(std::int64_t first, std::int64_t count) const;

 private:
  void check_dtype(DType wanted) const;
};

/// Packed host memory, 64-byte aligned, owned; move-only. Uninitialized unless `zeros` made it.
class PEREGRINE_API Tensor {
 public:
  Tensor() = default;
  /// Throws `Error(kInvalidShape)` on overflow, `Error(kOutOfMemory)` when the host has too little.
  Tensor(DType dtype, Shape shape);
  static Tensor zeros(DType dtype, Shape shape);
  template <typename T>
  static Tensor of(std::span<const T> values, Shape shape) {
    Tensor tensor(dtype_of<T>::value, std::move(shape));
    tensor.assign(values.data(), values.size(), sizeof(T));
    return tensor;
  }
  Tensor clone() const;

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t size() const { return data_ ? element_count(shape_) : 0; }
  std::size_t bytes() const { return data_ ? byte_size(dtype_, shape_) : 0; }
  bool empty() const { return data_ == nullptr; }
  void* data() { return data_.get(); }
  const void* data() const { return data_.get(); }
  /// Typed elements. Throws `Error(kInvalidShape)` when `T` is not the tensor's dtype.
  template <typename T>
  std::span<T> as() {
    return {view().as<T>(), static_cast<std::size_t>(size())};
  }
  template <typename T>
  std::span<const T> as() const {
    return {const_cast<Tensor*>(this)->view().as<T>(), static_cast<std::size_t>(size())};
  }
  TensorView view() { return TensorView(data_.get(), dtype_, shape_); }

 private:
  void assign(const void* values, std::size_t count, std::size_t element_size);
  struct Free {
    void operator()(void* memory) const noexcept;
  };
  std::unique_ptr<void, Free> data_;
  DType dtype_ = DType::kFloat32;
  Shape shape_;
};

}  // namespace peregrine
