// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "peregrine/export.h"

namespace peregrine {

/// This library's version, such as "0.1.0".
PEREGRINE_API const char* version();

}  // namespace peregrine
