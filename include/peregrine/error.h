// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "peregrine/export.h"

namespace peregrine {

/// Everything that can go wrong, by what the caller can do about it. docs/errors.md lists causes
/// and remedies; `exit_code` maps each to the program's exit status.
enum class ErrorCode {
  kUsage,             ///< arguments that contradict each other or name something unknown
  kInvalidConfig,     ///< configuration file, environment or profile: unknown key or value out of
                      ///< range
  kInvalidArgument,   ///< a call with a value outside its documented domain
  kInvalidShape,      ///< tensors whose shapes, dtypes, strides or devices do not fit together
  kInputNotFound,     ///< a source that does not exist or cannot be reached
  kInputCorrupt,      ///< a source that exists but cannot be decoded
  kInputUnsupported,  ///< a source whose container, codec, size or pixel format is not handled
  kModelInvalid,      ///< not a model, truncated, inconsistent, or refused for safety
  kModelUnsupported,  ///< a valid model with an op, dtype or attribute that the engine lacks
  kTaskUnknown,  ///< what the model's outputs mean cannot be known; the message names the flag that
                 ///< says it
  kPlanMismatch,  ///< a plan built for another device, driver, version or model
  kEngine,        ///< the engine failed while running
  kGpu,           ///< no usable GPU, a CUDA error, or work that strict mode keeps off the CPU
  kOutOfMemory,   ///< host or device memory is not enough; the message says how much was needed
  kOutput,        ///< an output that cannot be written
  kInterrupted,   ///< stopped by the user
  kInternal,      ///< a broken invariant: a bug in Peregrine
};

/// Stable lower-case name, such as "input_not_found"; used in logs and JSON.
PEREGRINE_API const char* to_string(ErrorCode code);

/// The program's exit status for an error: 2 usage, 3 input, 4 model, 5 GPU, 130 interrupted, 1 the
/// rest.
PEREGRINE_API int exit_code(ErrorCode code);

/// What happened, to which input, and what to do about it. Thrown while setting up; the frame loop
/// reports a failing stream through its events instead.
class PEREGRINE_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace peregrine
