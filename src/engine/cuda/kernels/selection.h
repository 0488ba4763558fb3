// SPDX-License-Identifier: Apache-2.0
// NonZero and NonMaxSuppression: results as long as they can be, -1 behind what was found.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/top_k.h"
#include "engine/cuda/kernels/unit.h"
#include "engine/cuda/kernels/walk.h"

namespace peregrine::cuda {

struct NonZeroParams {
  static constexpr int kMaxRank = Walk<2>::kMaxRank;
  const void* input = nullptr;
  DType dtype = DType::kFloat32;
  std::int64_t* output = nullptr;  ///< [rank, elements]
  std::int32_t axis_stride = 0, entry_stride = 1;
  std::int32_t rank = 0;
  FastDivisor inner[kMaxRank], extent[kMaxRank];  ///< elements within one position of an axis
  Walk<2> walk;                                   ///< row-major: position, input
};

PEREGRINE_HOST_DEVICE bool is_non_zero(const NonZeroParams& p, int index) {
  int at[2];
  p.walk.offsets(index, at);
  return load_any<bool>(p.input, p.dtype, at[1]);
}
/// Entry `entry` of the result says where element `index` is; -1 all along for no element.
PEREGRINE_HOST_DEVICE void put_position(const NonZeroParams& p, int entry, int index) {
  for (int axis = 0; axis < p.rank; ++axis) {
    std::int64_t position = -1;
    if (index >= 0) {
      const int outer = p.inner[axis].divide(index);
      position = outer - p.extent[axis].divide(outer) * static_cast<int>(p.extent[axis].divisor);
    }
    p.output[axis * p.axis_stride + entry * p.entry_stride] = position;
  }
}
void launch_non_zero(const NonZeroParams& params, bool overlapped, cudaStream_t stream);

/// One row a (batch, class): its boxes by falling score, ties by position, each kept unless it
/// overlaps one kept before.
struct SuppressParams {
  const float* boxes = nullptr;
  const float* scores = nullptr;
  const void* marks = nullptr;  ///< may be null; a negative entry: no such box
  bool wide_marks = true;
  std::int32_t box_strides[3] = {}, score_strides[3] = {}, mark_stride = 0;
  bool centred = false;  ///< [x centre, y centre, width, height]; else two opposite corners y x y x
  bool has_threshold = false;
  float max_iou = 0, threshold = 0;
  std::int32_t rows = 0, classes = 1, boxes_each = 0, limit = 0;
  std::int32_t pitch = 1;            ///< of `numbers`: a power of two that holds `boxes_each`
  std::uint64_t* numbers = nullptr;  ///< [rows, pitch]
  float* kept = nullptr;             ///< [rows, limit, 4]
  std::int32_t* selected = nullptr;  ///< [rows, limit]
  std::int32_t* counts = nullptr;    ///< [rows]
};

namespace suppression {

struct Corners {
  float y1, x1, y2, x2;
};

PEREGRINE_HOST_DEVICE Corners corners_of(const SuppressParams& p, int batch, int box) {
  const float* from = p.boxes + static_cast<std::int64_t>(batch) * p.box_strides[0] +
                      static_cast<std::int64_t>(box) * p.box_strides[1];
  const int step = p.box_strides[2];
  const float a = from[0], b = from[step], c = from[2 * step], d = from[3 * step];
  if (p.centred) return {b - d / 2, a - c / 2, b + d / 2, a + c / 2};
  return {a < c ? a : c, b < d ? b : d, a < c ? c : a, b < d ? d : b};
}

PEREGRINE_HOST_DEVICE float overlap(const Corners& a, const Corners& b) {
  const float height = (a.y2 < b.y2 ? a.y2 : b.y2) - (a.y1 > b.y1 ? a.y1 : b.y1);
  const float width = (a.x2 < b.x2 ? a.x2 : b.x2) - (a.x1 > b.x1 ? a.x1 : b.x1);
  if (height <= 0 || width <= 0) return 0;
  const float both = height * width;
  return both / ((a.y2 - a.y1) * (a.x2 - a.x1) + (b.y2 - b.y1) * (b.x2 - b.x1) - both);
}

/// The number that sorts a candidate (see top_k.h); none where the box is no candidate.
inline constexpr std::uint64_t kNoCandidate = ~std::uint64_t{0};
PEREGRINE_HOST_DEVICE std::uint64_t candidate(const SuppressParams& p, int row, int box) {
  if (p.marks && load_index(p.marks, box * p.mark_stride, p.wide_marks) < 0) return kNoCandidate;
  const int batch = row / p.classes, label = row - batch * p.classes;
  const float score = p.scores[static_cast<std::int64_t>(batch) * p.score_strides[0] +
                               static_cast<std::int64_t>(label) * p.score_strides[1] +
                               static_cast<std::int64_t>(box) * p.score_strides[2]];
  if (p.has_threshold && !(score > p.threshold)) return kNoCandidate;
  return std::uint64_t{~top_k::ascending_key(score)} << 32 | static_cast<std::uint32_t>(box);
}

}  // namespace suppression

void launch_suppress(const SuppressParams& params, bool overlapped, cudaStream_t stream);

/// The rows' selections one after the other: [batch, class, box], -1 behind the last.
struct SuppressedRowsParams {
  const std::int32_t* selected = nullptr;  ///< [rows, limit]
  const std::int32_t* counts = nullptr;    ///< [rows]
  std::int64_t* output = nullptr;          ///< [rows * limit, 3]
  std::int32_t row_stride = 3, column_stride = 1;
  std::int32_t rows = 0, classes = 1, limit = 0;
};
PEREGRINE_HOST_DEVICE void put_selection(const SuppressedRowsParams& p, int entry, int row,
                                         int index) {
  std::int64_t* to = p.output + static_cast<std::int64_t>(entry) * p.row_stride;
  const int batch = row / p.classes;
  to[0] = row < 0 ? -1 : batch;
  to[p.column_stride] = row < 0 ? -1 : row - batch * p.classes;
  to[2 * p.column_stride] = row < 0 ? -1 : index;
}
void launch_suppressed_rows(const SuppressedRowsParams& params, bool overlapped,
                            cudaStream_t stream);

}  // namespace peregrine::cuda
