// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "peregrine/engine.h"

namespace peregrine {

/// The shape of an input or output at a batch: -1 becomes `batch`.
Shape with_batch(const TensorSpec& spec, std::int64_t batch);
/// Bytes of it, packed.
std::size_t bytes_at(const TensorSpec& spec, std::int64_t batch);

}  // namespace peregrine
