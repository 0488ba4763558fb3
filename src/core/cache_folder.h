// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace peregrine {

/// Where this user's caches lie: $XDG_CACHE_HOME/peregrine, or ~/.cache/peregrine; made with mode
/// 0700 when it is not there. Empty, and nothing is cached, where neither can be had or written to,
/// or the folder belongs to somebody else.
std::string cache_folder();

}  // namespace peregrine
