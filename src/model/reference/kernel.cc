// SPDX-License-Identifier: Apache-2.0
#include "model/reference/kernel.h"

#include <algorithm>

#include <fmt/format.h>

#include "model/geometry.h"
#include "peregrine/error.h"

namespace peregrine::model::reference {

void KernelContext::fail(const std::string& what) const {
  throw Error(ErrorCode::kModelUnsupported, fmt::format("{} {}", describe(node), what));
}

AxisView axis_view(const Shape& shape, std::int64_t axis) {
  const auto at =
      static_cast<std::size_t>(wrap_axis(axis, static_cast<std::int64_t>(shape.size())));
  AxisView view;
  for (std::size_t i = 0; i < at; ++i) view.outer *= shape[i];
  view.extent = shape[at];
  for (std::size_t i = at + 1; i < shape.size(); ++i) view.inner *= shape[i];
  return view;
}

Walker::Walker(const Shape& shape, std::vector<Ints> strides)
    : shape_(shape),
      strides_(std::move(strides)),
      position_(shape.size(), 0),
      offsets_(strides_.size(), 0) {}

void Walker::next() {
  for (std::size_t axis = shape_.size(); axis-- > 0;) {
    for (std::size_t set = 0; set < offsets_.size(); ++set) offsets_[set] += strides_[set][axis];
    if (++position_[axis] < shape_[axis]) return;
    position_[axis] = 0;
    for (std::size_t set = 0; set < offsets_.size(); ++set) {
      offsets_[set] -= strides_[set][axis] * shape_[axis];
    }
  }
}

Ints broadcast_strides(const Shape& from, const Shape& to) {
  const Ints packed = packed_strides(from);
  Ints strides(to.size(), 0);
  const std::size_t shift = to.size() - from.size();
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i] != 1) strides[shift + i] = packed[i];
  }
  return strides;
}

void multiply(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda,
              const float* b, std::int64_t ldb, float* c, std::int64_t ldc, bool accumulate) {
  // Blocks keep a strip of b in the L1 and four rows of c in flight; the inner loop vectorizes.
  constexpr std::int64_t kColumns = 512;
  constexpr std::int64_t kDepth = 64;
  for (std::int64_t i = 0; i < m && !accumulate; ++i) std::fill_n(c + i * ldc, n, 0.0F);
  for (std::int64_t k0 = 0; k0 < k; k0 += kDepth) {
    const std::int64_t k1 = std::min(k, k0 + kDepth);
    for (std::int64_t j0 = 0; j0 < n; j0 += kColumns) {
      const std::int64_t columns = std::min(n - j0, kColumns);
      std::int64_t i = 0;
      for (; i + 4 <= m; i += 4) {
        float* c0 = c + i * ldc + j0;
        float* c1 = c0 + ldc;
        float* c2 = c1 + ldc;
        float* c3 = c2 + ldc;
        for (std::int64_t p = k0; p < k1; ++p) {
          const float* row = b + p * ldb + j0;
          const float a0 = a[i * lda + p];
          const float a1 = a[(i + 1) * lda + p];
          const float a2 = a[(i + 2) * lda + p];
          const float a3 = a[(i + 3) * lda + p];
#pragma GCC ivdep
          for (std::int64_t j = 0; j < columns; ++j) {
            c0[j] += a0 * row[j];
            c1[j] += a1 * row[j];
            c2[j] += a2 * row[j];
            c3[j] += a3 * row[j];
          }
        }
      }
      for (; i < m; ++i) {
        float* out = c + i * ldc + j0;
        for (std::int64_t p = k0; p < k1; ++p) {
          const float* row = b + p * ldb + j0;
          const float factor = a[i * lda + p];
          for (std::int64_t j = 0; j < columns; ++j) out[j] += factor * row[j];
        }
      }
    }
  }
}

}  // namespace peregrine::model::reference
