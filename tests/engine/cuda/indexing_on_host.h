// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernel_table.h"

namespace peregrine::testing {

/// Does on the host what a step that copies, indexes, samples, orders or quantizes does on the
/// device: the same parameters and the same code, one thread after the other. False for other
/// kernels.
bool run_indexing_on_host(const cuda::BoundStep& step);

}  // namespace peregrine::testing
