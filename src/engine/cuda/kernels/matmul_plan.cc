// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "engine/cuda/kernels/loop_nest.h"
#include "engine/cuda/kernels/matmul.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

StridedMatrix strided_matrix(const TensorView& view) {
  StridedMatrix matrix;
  if (!view.data) return matrix;
  matrix.data = view.data;
  matrix.half = view.dtype == DType::kFloat16;
  matrix.row_stride = view.strides[view.strides.size() - 2];
  matrix.column_stride = view.strides.back();
  return matrix;
}

[[noreturn]] void fail(const TensorView& a, const TensorView& b, const char* what) {
  throw Error(ErrorCode::kModelUnsupported,
              "a product of " + to_string(a.shape) + " and " + to_string(b.shape) + " " + what);
}

}  // namespace

MatmulParams make_matmul(const TensorView& a, const TensorView& b, const TensorView& bias,
                         const TensorView& residual, const TensorView& output) {
  const std::size_t batch_axes = output.shape.size() - 2;
  MatmulParams p;
  const TensorView* views[] = {&a, &b, &bias, &residual, &output};
  StridedMatrix* matrices[] = {&p.a, &p.b, &p.bias, &p.residual, &p.output};
  std::vector<Shape> strides;
  for (std::size_t i = 0; i < 5; ++i) {
    *matrices[i] = strided_matrix(*views[i]);
    Shape of_batch(batch_axes, 0);
    if (views[i]->data) std::copy_n(views[i]->strides.begin(), batch_axes, of_batch.begin());
    strides.push_back(std::move(of_batch));
  }
  const std::int64_t m = output.shape[batch_axes], n = output.shape.back(), k = a.shape.back();
  const std::int64_t batches = element_count(std::span(output.shape).first(batch_axes));
  constexpr std::int64_t kLimit = std::int64_t{1} << 31;
  if (element_count(output.shape) >= kLimit || m * k >= kLimit || k * n >= kLimit) {
    fail(a, b, "has 2^31 elements or more in one matrix; use a smaller batch");
  }
  if (batches > 65535 || m > 64 * 65535) {  // extents of a grid
    fail(a, b, "has too many matrices or rows for one launch; use a smaller batch");
  }
  p.m = static_cast<int>(m);
  p.n = static_cast<int>(n);
  p.k = static_cast<int>(k);
  p.batches = static_cast<int>(batches);
  const LoopNest nest = merge_dimensions(std::span(output.shape).first(batch_axes), strides);
  if (nest.rank() > kMaxMatmulBatchRank) fail(a, b, "has more than four separate batch axes");
  p.batch_rank = nest.rank();
  for (std::size_t d = 0; d < nest.extents.size(); ++d) {
    p.batch_extent[d] = FastDivisor(static_cast<int>(nest.extents[d]));
    for (std::size_t i = 0; i < 5; ++i) matrices[i]->batch_stride[d] = nest.strides[i][d];
  }
  return p;
}

}  // namespace peregrine::cuda
