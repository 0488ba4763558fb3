// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernel_table.h"

namespace peregrine::testing {

/// Does on the host, in plain loops, what the step's kernel is documented to do: convolutions (with
/// weights packed as each kernel reads them), products, pools, attention and packing. False for any
/// other kernel.
bool run_heavy_on_host(const cuda::BoundStep& step);

}  // namespace peregrine::testing
