// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "peregrine/engine.h"

namespace peregrine::engine {

struct OpenVinoOptions {
  int threads = 0;  ///< 0: all cores of this process
  int max_batch = 1;
  int input_height = 0;  ///< for a model whose height and width are symbolic
  int input_width = 0;
  bool latency =
      false;  ///< one picture at a time as fast as possible, instead of most pictures a second
};

/// Compiles an ONNX file for the CPU with OpenVINO, in FP32 (inference precision is pinned: a CPU
/// with BF16 units must not change the answer). Throws `Error(kModelInvalid)` or
/// `Error(kModelUnsupported)`.
std::unique_ptr<Engine> make_openvino_engine(const std::string& path,
                                             const OpenVinoOptions& options);

/// Such as "2026.4.1".
std::string openvino_version();
/// OpenVINO's names of what it could run on here, such as "CPU". Throws `Error(kEngine)` when its
/// plugins cannot be loaded.
std::vector<std::string> openvino_devices();

}  // namespace peregrine::engine
