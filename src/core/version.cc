// SPDX-License-Identifier: Apache-2.0
#include "peregrine/version.h"

namespace peregrine {

const char* version() { return PEREGRINE_VERSION; }

}  // namespace peregrine
