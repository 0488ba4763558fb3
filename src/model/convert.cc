// SPDX-License-Identifier: Apache-2.0
#include "model/convert.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "model/half.h"
#include "peregrine/error.h"

namespace peregrine::model {
namespace {

struct Half {
  std::uint16_t bits;
};
struct BFloat {
  std::uint16_t bits;
};

// Calls f with a null pointer of the dtype's storage type.
template <typename F>
void with_storage(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32: return f(static_cast<float*>(nullptr));
    case DType::kFloat16: return f(static_cast<Half*>(nullptr));
    case DType::kBFloat16: return f(static_cast<BFloat*>(nullptr));
    case DType::kFloat64: return f(static_cast<double*>(nullptr));
    case DType::kInt8: return f(static_cast<std::int8_t*>(nullptr));
    case DType::kInt16: return f(static_cast<std::int16_t*>(nullptr));
    case DType::kInt32: return f(static_cast<std::int32_t*>(nullptr));
    case DType::kInt64: return f(static_cast<std::int64_t*>(nullptr));
    case DType::kUint8: return f(static_cast<std::uint8_t*>(nullptr));
    case DType::kUint16: return f(static_cast<std::uint16_t*>(nullptr));
    case DType::kUint32: return f(static_cast<std::uint32_t*>(nullptr));
    case DType::kUint64: return f(static_cast<std::uint64_t*>(nullptr));
    case DType::kBool: return f(static_cast<bool*>(nullptr));
  }
}

template <typename T>
auto widen(T value) {
  if constexpr (std::is_same_v<T, Half>)
    return float_from_half(value.bits);
  else if constexpr (std::is_same_v<T, BFloat>)
    return float_from_bfloat(value.bits);
  else
    return value;
}

template <typename Int, typename From>
Int float_to_int(From value, bool saturate) {
  if (std::isnan(value)) return 0;
  if (saturate) {
    constexpr auto low = static_cast<double>(std::numeric_limits<Int>::min());
    constexpr auto high = static_cast<double>(std::numeric_limits<Int>::max());
    if (static_cast<double>(value) <= low) return std::numeric_limits<Int>::min();
    if (static_cast<double>(value) >= high) return std::numeric_limits<Int>::max();
    return static_cast<Int>(value);
  }
  // Through 64 bits, so that the conversion itself stays defined.
  if (value >= From(0x1p63)) {
    return value >= From(0x1p64) ? std::numeric_limits<Int>::max()
                                 : static_cast<Int>(static_cast<std::uint64_t>(value));
  }
  if (value < From(-0x1p63)) return std::numeric_limits<Int>::min();
  return static_cast<Int>(static_cast<std::int64_t>(value));
}

template <typename To, typename From>
To convert_one(From value, bool saturate) {
  if constexpr (std::is_same_v<To, Half>) {
    return {half_from_float(static_cast<float>(value))};
  } else if constexpr (std::is_same_v<To, BFloat>) {
    return {bfloat_from_float(static_cast<float>(value))};
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != From(0);
  } else if constexpr (std::is_floating_point_v<To>) {
    return static_cast<To>(value);
  } else if constexpr (std::is_floating_point_v<From>) {
    return float_to_int<To>(value, saturate);
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace

bool is_float(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16 ||
         dtype == DType::kFloat64;
}

Tensor convert(const Tensor& tensor, DType dtype, bool saturate) {
  if (tensor.dtype() == dtype) return tensor.clone();
  Tensor result(dtype, tensor.shape());
  const auto count = static_cast<std::size_t>(tensor.size());
  with_storage(tensor.dtype(), [&]<typename From>(From*) {
    const auto* from = static_cast<const From*>(tensor.data());
    with_storage(dtype, [&]<typename To>(To*) {
      auto* to = static_cast<To*>(result.data());
      for (std::size_t i = 0; i < count; ++i) {
        using Wide = decltype(widen(from[i]));
        to[i] = convert_one<To, Wide>(widen(from[i]), saturate);
      }
    });
  });
  return result;
}

}  // namespace peregrine::model
