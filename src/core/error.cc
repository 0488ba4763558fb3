// SPDX-License-Identifier: Apache-2.0
#include "peregrine/error.h"

namespace peregrine {

const char* to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage: return "usage";
    case ErrorCode::kInvalidConfig: return "invalid_config";
    case ErrorCode::kInvalidArgument: return "invalid_argument";
    case ErrorCode::kInvalidShape: return "invalid_shape";
    case ErrorCode::kInputNotFound: return "input_not_found";
    case ErrorCode::kInputCorrupt: return "input_corrupt";
    case ErrorCode::kInputUnsupported: return "input_unsupported";
    case ErrorCode::kModelInvalid: return "model_invalid";
    case ErrorCode::kModelUnsupported: return "model_unsupported";
    case ErrorCode::kTaskUnknown: return "task_unknown";
    case ErrorCode::kPlanMismatch: return "plan_mismatch";
    case ErrorCode::kEngine: return "engine";
    case ErrorCode::kGpu: return "gpu";
    case ErrorCode::kOutOfMemory: return "out_of_memory";
    case ErrorCode::kOutput: return "output";
    case ErrorCode::kInterrupted: return "interrupted";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
    case ErrorCode::kInvalidConfig:
    case ErrorCode::kInvalidArgument: return 2;
    case ErrorCode::kInputNotFound:
    case ErrorCode::kInputCorrupt:
    case ErrorCode::kInputUnsupported: return 3;
    case ErrorCode::kModelInvalid:
    case ErrorCode::kModelUnsupported:
    case ErrorCode::kTaskUnknown:
    case ErrorCode::kPlanMismatch: return 4;
    case ErrorCode::kGpu: return 5;
    case ErrorCode::kInterrupted: return 130;
    case ErrorCode::kInvalidShape:
    case ErrorCode::kEngine:
    case ErrorCode::kOutOfMemory:
    case ErrorCode::kOutput:
    case ErrorCode::kInternal: return 1;
  }
  return 1;
}

}  // namespace peregrine
