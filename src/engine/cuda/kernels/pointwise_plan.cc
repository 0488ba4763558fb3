// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "engine/cuda/kernels/loop_nest.h"
#include "engine/cuda/kernels/pointwise.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

constexpr PointwiseOpInfo kOps[] = {
#define PEREGRINE_POINTWISE(name, floats, integers) {#name, floats, integers},
#include "engine/cuda/kernels/pointwise_ops.def"
#undef PEREGRINE_POINTWISE
};
constexpr PointwiseOp kNumbers[] = {
#define PEREGRINE_POINTWISE(name, floats, integers) PointwiseOp::k##name,
#include "engine/cuda/kernels/pointwise_ops.def"
#undef PEREGRINE_POINTWISE
};

// Whether `width` consecutive elements of the innermost dimension lie side by side everywhere, each
// group at an address fit for accesses of up to 16 bytes.
bool has_groups(const PointwiseParams::StridedTensor& tensor, int rank, int width,
                bool may_repeat) {
  if (may_repeat && tensor.strides[0] == 0) return true;
  if (tensor.strides[0] != 1) return false;
  const auto item = static_cast<int>(size_of(tensor.dtype));
  const int alignment = std::min(16, width * item);
  if (reinterpret_cast<std::uintptr_t>(tensor.data) % static_cast<unsigned>(alignment) != 0) {
    return false;
  }
  return std::all_of(tensor.strides.begin() + 1, tensor.strides.begin() + std::max(rank, 1),
                     [&](int stride) { return stride % (alignment / item) == 0; });
}

}  // namespace

const PointwiseOpInfo& info(PointwiseOp op) { return kOps[static_cast<std::size_t>(op)]; }

const PointwiseOp* find_pointwise_op(std::string_view name) {
  const auto* found = std::find_if(std::begin(kOps), std::end(kOps),
                                   [&](const PointwiseOpInfo& op) { return name == op.name; });
  return found == std::end(kOps) ? nullptr : &kNumbers[found - std::begin(kOps)];
}

PointwiseParams make_pointwise(std::span<const std::int64_t> shape, const Shape& output_strides,
                               std::span<const Shape> input_strides) {
  std::vector<Shape> strides{output_strides};
  strides.insert(strides.end(), input_strides.begin(), input_strides.end());
  const LoopNest nest = merge_dimensions(shape, strides);
  if (!nest.fits_int()) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("a pointwise op on {} reaches over 2^31 elements or more; use a "
                            "smaller batch",
                            to_string(shape)));
  }
  if (nest.rank() > PointwiseParams::kMaxRank) {
    throw Error(ErrorCode::kModelUnsupported,
                fmt::format("a pointwise op on {} has more than six separate dimensions",
                            to_string(shape)));
  }
  PointwiseParams params;
  params.count = static_cast<int>(nest.count());
  params.rank = nest.rank();
  params.input_count = static_cast<int>(input_strides.size());
  for (std::size_t d = 0; d < nest.extents.size(); ++d) {
    params.extents[d] = FastDivisor(static_cast<int>(nest.extents[d]));
    params.output.strides[d] = static_cast<int>(nest.strides[0][d]);
    for (std::size_t t = 0; t < input_strides.size(); ++t) {
      params.inputs[t].strides[d] = static_cast<int>(nest.strides[t + 1][d]);
    }
  }
  return params;
}

int pointwise_width(const PointwiseParams& params) {
  for (const int width : {8, 4}) {
    if (params.rank == 0 || params.extents[0].divisor % static_cast<unsigned>(width) != 0) continue;
    const bool all =
        std::all_of(params.inputs.begin(), params.inputs.begin() + params.input_count,
                    [&](const auto& input) { return has_groups(input, params.rank, width, true); });
    if (all && has_groups(params.output, params.rank, width, false)) return width;
  }
  return 1;
}

}  // namespace peregrine::cuda
