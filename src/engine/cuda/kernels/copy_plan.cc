// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/copy.h"

#include <string>

#include "peregrine/error.h"

namespace peregrine::cuda {

CopyParams make_copy(std::span<const std::int64_t> shape,
                     std::span<const std::int64_t> input_strides,
                     std::span<const std::int64_t> output_strides) {
  CopyParams params;
  params.count = element_count(shape);
  if (params.count >= (std::int64_t{1} << 31)) {
    throw Error(
        ErrorCode::kModelUnsupported,
        "a copy of " + to_string(shape) + " has 2^31 elements or more; use a smaller batch");
  }
  if (params.count == 0) return params;
  std::int64_t extent = 1;  // of the dimension being gathered
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;
    const int last = params.rank - 1;
    if (last >= 0 && input_strides[i] == params.input_stride[last] * extent &&
        output_strides[i] == params.output_stride[last] * extent) {
      extent *= shape[i];
    } else {
      if (params.rank == CopyParams::kMaxRank) {
        throw Error(ErrorCode::kModelUnsupported,
                    "a copy of " + to_string(shape) + " has more than six separate dimensions");
      }
      params.input_stride[params.rank] = input_strides[i];
      params.output_stride[params.rank++] = output_strides[i];
      extent = shape[i];
    }
    params.extent[params.rank - 1] = FastDivisor(static_cast<int>(extent));
  }
  return params;
}

}  // namespace peregrine::cuda
