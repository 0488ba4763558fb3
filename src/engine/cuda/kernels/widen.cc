// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/gather.h"
#include "engine/cuda/kernels/rearrange.h"

namespace peregrine::cuda {
namespace {

// Turns the walk and the strides beside it into units of as many elements as fit 16 bytes.
template <typename Params>
Params in_wide_units(Params params, const void* input, std::span<std::int32_t> strides) {
  const auto bytes = static_cast<std::size_t>(params.unit_bytes);
  const int width = vector_width(params.walk, 2, 16 / params.unit_bytes,
                                 {{input, bytes}, {params.output, bytes}}, strides);
  params.walk = widened(params.walk, 2, width, true);
  params.unit_bytes *= width;
  return params;
}

}  // namespace

GatherParams widened(GatherParams params) {
  const auto depth = static_cast<std::size_t>(params.indices.depth);
  const int before = params.unit_bytes;
  params = in_wide_units(params, params.data, std::span(params.indices.stride, depth));
  for (std::size_t k = 0; k < depth; ++k) params.indices.stride[k] /= params.unit_bytes / before;
  return params;
}

RemapParams widened(RemapParams params) {
  const auto tables = static_cast<std::size_t>(params.table_count);
  const int before = params.unit_bytes;
  params = in_wide_units(params, params.input, std::span(params.stride, tables));
  for (std::size_t k = 0; k < tables; ++k) params.stride[k] /= params.unit_bytes / before;
  return params;
}

ReverseParams widened(ReverseParams params) {
  const int before = params.unit_bytes;
  params = in_wide_units(params, params.input, std::span(&params.step_stride, 1));
  params.step_stride /= params.unit_bytes / before;
  return params;
}

}  // namespace peregrine::cuda
