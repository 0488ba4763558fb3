// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "compiler/program.h"
#include "peregrine/engine.h"

namespace peregrine::compiler {

/// What a plan was made from and for. Two plans of equal identity do the same.
struct PlanIdentity {
  std::string model_name;    ///< file name of the model, without its folder
  std::string model_sha256;  ///< of the ONNX file, hexadecimal
  std::string precision;     ///< "fp16" or "fp32": what was asked for; steps say what they use
  std::string device_name;   ///< such as "NVIDIA H200"
  int sm = 0;                ///< 90 for sm_90
  int multiprocessors = 0;
  int driver_version = 0;   ///< as CUDA counts: 13000 is 13.0
  int runtime_version = 0;  ///< CUDA runtime compiled in
  std::string peregrine_version;
};

/// A model compiled for one kind of device: what `peregrine build` writes and an engine loads.
struct Plan {
  PlanIdentity identity;
  std::vector<TensorSpec> inputs, outputs;      ///< batch is -1
  std::map<std::string, std::string> metadata;  ///< of the ONNX file: task, labels, ...
  std::vector<std::byte> weights;               ///< the region kWeights; 256-byte aligned parts
  std::vector<Program> programs;                ///< ascending by batch; at least one
};

}  // namespace peregrine::compiler
