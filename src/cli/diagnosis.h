// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/machine.h"

namespace peregrine::cli {

/// One thing that was looked at.
struct Finding {
  enum class Status {
    kGood,
    kNote,     ///< something cannot be used, but the CPU path works without it
    kProblem,  ///< `peregrine run` cannot work on the CPU
  } status = Status::kGood;
  std::string name;   ///< "OpenVINO"
  std::string value;  ///< what was found, or why not
  std::string fix;    ///< the command or action that mends it; empty where there is nothing to mend
};

struct Diagnosis {
  Machine machine;
  std::vector<Finding> findings;
  /// No finding is a problem.
  bool usable() const;
};

/// Looks at processor, engines, libav, GPU, folders and configuration. Never throws for what it
/// finds. Cost: loads OpenVINO's plugins and the NVIDIA driver, well under a second.
Diagnosis diagnose();

}  // namespace peregrine::cli
