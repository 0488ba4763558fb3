// SPDX-License-Identifier: Apache-2.0
// What works on rows: reductions, softmax, normalizations, running sums. A row is the set of
// elements along the reduced axes, whichever and however many they are and wherever they lie.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/axis_offset.h"
#include "peregrine/tensor.h"

namespace peregrine::cuda {

constexpr int kMaxRowRank = 5;

/// One side of a cut, merged to the fewest dimensions, innermost first.
struct RowDims {
  int count = 1;
  int rank = 0;
  std::array<FastDivisor, kMaxRowRank> extents;
};

struct RowTensor {
  void* data = nullptr;  ///< null: absent
  DType dtype = DType::kFloat32;
  std::array<int, kMaxRowRank> row_strides{};      ///< elements, along the dimensions of `rows`
  std::array<int, kMaxRowRank> element_strides{};  ///< along those of `elements`; 0 repeats
};

struct Rows {
  RowDims rows;      ///< the axes that stay
  RowDims elements;  ///< the axes that are reduced
  /// Threads: `parts` (a power of two) share a row, a block has `rows_per_block` of them. Either a
  /// row's elements or, `side_by_side`, the same element of neighbouring rows lie close together.
  int parts = 32;
  int rows_per_block = 4;
  bool side_by_side = false;
};

/// A cut of tensors of one shape; `tensors` get their strides in the order of `strides`, tensor 0
/// deciding the order of the walk. Throws `Error(kModelUnsupported)` when either side has more than
/// five separate dimensions, or a tensor reaches over 2^31 elements.
Rows make_rows(std::span<const std::int64_t> shape, const std::vector<bool>& reduced,
               std::span<const Shape> strides, std::span<RowTensor> tensors);

/// Elements from a tensor's first one to row (element) `index`, by the strides along `dims`.
PEREGRINE_HOST_DEVICE int offset_of(int index, const RowDims& dims,
                                    const std::array<int, kMaxRowRank>& strides) {
  return axis_offset(index, dims.rank, dims.extents, strides);
}

/// What a thread has to do: elements part, part + parts, ... of a row.
struct RowPlace {
  int row, part;
  int row_of_block;
  bool valid;  ///< the last block may have rows too many, whose threads only take part in barriers

  PEREGRINE_HOST_DEVICE RowPlace(const Rows& rows, int block, int thread) {
    // Both are powers of two.
    if (rows.side_by_side) {
      row_of_block = thread & (rows.rows_per_block - 1);
      part = thread / rows.rows_per_block;
    } else {
      part = thread & (rows.parts - 1);
      row_of_block = thread / rows.parts;
    }
    row = block * rows.rows_per_block + row_of_block;
    valid = row < rows.rows.count;
  }
};

enum class ReduceOp : std::uint8_t {
  kSum,
  kMean,
  kL1,
  kL2,
  kSumSquare,
  kLogSum,
  kLogSumExp,
  kProd,
  kMax,
  kMin,
  kArgMax,  ///< writes positions along the elements
  kArgMin,
};
struct ReduceParams {
  Rows rows;
  RowTensor input, output;
  ReduceOp op = ReduceOp::kSum;
  bool integers = false;     ///< accumulates in int64, else in float32
  bool select_last = false;  ///< ArgMax, ArgMin: of equals
};
void launch_reduce(const ReduceParams& params, bool overlapped, cudaStream_t stream);

enum class Normalization : std::uint8_t {
  kSoftmax,
  kLogSoftmax,
  kHardmax,
  kLayer,         ///< (x - mean) / sqrt(variance + epsilon) * scale + bias
  kRms,           ///< x / sqrt(mean of squares + epsilon) * scale
  kL1,            ///< x / sum of magnitudes, 0 where that is 0
  kL2,            ///< x / length, likewise
  kMeanVariance,  ///< (x - mean) / (deviation + epsilon)
};
struct NormalizeParams {
  Rows rows;
  RowTensor input, output, scale, bias;
  Normalization kind = Normalization::kSoftmax;
  float epsilon = 1e-5F;
};
void launch_normalize(const NormalizeParams& params, bool overlapped, cudaStream_t stream);

/// Packs of eight elements that each lane of a warp keeps in registers when a warp takes a row that
/// is contiguous in every tensor, up to 2,048 elements: 1, 2, 3, 4 or 8; 0 when a row is no such.
int packs_in_registers(const NormalizeParams& params);
void launch_normalize_in_registers(const NormalizeParams& params, int packs, bool overlapped,
                                   cudaStream_t stream);

struct CumulativeSumParams {
  Rows rows;
  RowTensor input, output;
  bool integers = false;
  bool exclusive = false, reverse = false;
};
void launch_cumulative_sum(const CumulativeSumParams& params, bool overlapped, cudaStream_t stream);

/// Across a window of channels (the elements): x / (bias + alpha / window * sum of squares)^beta.
struct LocalResponseParams {
  Rows rows;
  RowTensor input, output;
  int before = 0, after = 0;                    ///< channels of the window on either side
  float bias = 1, alpha = 1e-4F, beta = 0.75F;  ///< alpha already divided by the window
};
void launch_local_response(const LocalResponseParams& params, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
