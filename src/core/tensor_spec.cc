// SPDX-License-Identifier: Apache-2.0
#include "core/tensor_spec.h"

#include <algorithm>

namespace peregrine {

Shape with_batch(const TensorSpec& spec, std::int64_t batch) {
  Shape shape = spec.shape;
  std::replace(shape.begin(), shape.end(), std::int64_t{-1}, batch);
  return shape;
}

std::size_t bytes_at(const TensorSpec& spec, std::int64_t batch) {
  return byte_size(spec.dtype, with_batch(spec, batch));
}

}  // namespace peregrine
