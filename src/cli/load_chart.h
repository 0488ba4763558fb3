// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "pipeline/capacity.h"

namespace peregrine::cli {

/// Streams against median and 95th percentile of latency as SVG, with the bound and the knee (0:
/// none). Latencies past three times the bound are drawn at the upper edge.
std::string load_chart(const std::vector<pipeline::Load>& loads, double bound_seconds, int knee,
                       const std::string& title);

}  // namespace peregrine::cli
