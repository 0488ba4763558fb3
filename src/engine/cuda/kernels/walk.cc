// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/walk.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

constexpr std::int64_t kLimit = std::int64_t{1} << 31;

[[noreturn]] void throw_too_large(std::span<const std::int64_t> shape) {
  throw Error(ErrorCode::kModelUnsupported,
              fmt::format("a tensor of {} spans 2^31 elements or more; use a smaller batch",
                          to_string(shape)));
}

}  // namespace

std::vector<WalkDimension> merged_dimensions(std::span<const std::int64_t> shape,
                                             std::span<const Shape> strides) {
  const std::int64_t count = element_count(shape);
  if (count >= kLimit) throw_too_large(shape);
  std::vector<WalkDimension> dimensions;
  if (count == 0) return dimensions;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;
    WalkDimension& dimension = dimensions.emplace_back();
    dimension.extent = shape[i];
    for (const Shape& set : strides) dimension.strides.push_back(set[i]);
  }
  for (std::size_t s = 0; s < strides.size(); ++s) {
    std::int64_t reach = 0;
    for (const WalkDimension& each : dimensions) {
      std::int64_t part = 0;
      if (__builtin_mul_overflow(each.extent - 1, std::abs(each.strides[s]), &part) ||
          __builtin_add_overflow(reach, part, &reach) || reach >= kLimit) {
        throw_too_large(shape);
      }
    }
  }
  std::stable_sort(dimensions.begin(), dimensions.end(),
                   [](const WalkDimension& a, const WalkDimension& b) {
                     return std::abs(a.strides[0]) < std::abs(b.strides[0]);
                   });
  std::vector<WalkDimension> merged;
  for (WalkDimension& next : dimensions) {
    const bool continues =
        !merged.empty() && std::equal(next.strides.begin(), next.strides.end(),
                                      merged.back().strides.begin(),
                                      [&](std::int64_t outer, std::int64_t inner) {
                                        return outer == inner * merged.back().extent;
                                      });
    if (continues) {
      merged.back().extent *= next.extent;
    } else {
      merged.push_back(std::move(next));
    }
  }
  return merged;
}

void throw_too_many_dimensions(std::span<const std::int64_t> shape, int limit) {
  throw Error(ErrorCode::kModelUnsupported,
              fmt::format("a tensor of {} has more than {} separate dimensions", to_string(shape),
                          limit));
}

}  // namespace peregrine::cuda
