// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace peregrine::testing {

/// Starts a kernel that fails: every later call in the process's context does too.
void launch_trap();

}  // namespace peregrine::testing
