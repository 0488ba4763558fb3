// SPDX-License-Identifier: Apache-2.0
// A program: a graph lowered for one batch to the launches that compute it, as data. The engine
// that lowered it runs it (src/engine/cuda); the plan file stores it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/graph.h"
#include "peregrine/tensor.h"

namespace peregrine::compiler {

/// What memory an operand lies in.
enum class Region : std::uint8_t {
  kAbsent,   ///< an optional operand that is not there
  kArena,    ///< activations: one allocation a context
  kWeights,  ///< constants: one allocation an engine
  kInput,    ///< the caller's, one for each model input
  kOutput,   ///< the caller's, one for each model output
};

/// A strided tensor in some region. Strides count elements; 0 repeats, negative walks back from the
/// element at `offset`.
struct Operand {
  Region region = Region::kAbsent;
  int index = 0;            ///< of kInput and kOutput: which; of kArena: 0
  std::int64_t offset = 0;  ///< bytes, of the element with index 0 everywhere
  DType dtype = DType::kFloat32;
  Shape shape;
  Shape strides;
  /// The ONNX value that lies there whole, its elements in order; "" for parts, other orders of
  /// axes and scratch.
  std::string value = {};

  bool is_absent() const { return region == Region::kAbsent; }
  int rank() const { return static_cast<int>(shape.size()); }
};

/// One call into the engine's kernel table: mostly one launch.
struct Step {
  std::string kernel;                ///< its row in the table, such as "conv" or "pointwise"
  std::string name;                  ///< of the ONNX node
  std::vector<std::string> origins;  ///< ONNX nodes whose work it does
  std::vector<Operand> inputs;
  std::vector<Operand> outputs;
  model::Attributes attributes;  ///< what the kernel needs to know, with all defaults resolved
  model::Epilogue epilogue;
  std::string tactic;       ///< of those the kernel offers; empty: its only or its first one
  std::int64_t flops = 0;   ///< a multiply-add counts as 2
  double microseconds = 0;  ///< measured while the plan was built, 0 when it was not
  int stream = 0;           ///< of the program's; steps of one stream run in order
  std::vector<int> waits;   ///< earlier steps of other streams that must be done before
};

/// A graph for one batch. Steps run in order; where there are several streams, in order on each.
struct Program {
  std::int64_t batch = 0;
  int streams = 1;
  std::size_t arena_bytes = 0;
  std::size_t peak_bytes = 0;  ///< most activation bytes alive at one step: no arena can be smaller
  double microseconds = 0;     ///< one run, measured while the plan was built; 0 when it was not
  std::vector<Step> steps;
};

/// Bytes from the region's start that an operand touches: {first, one past the last}. `first` is
/// negative where negative strides reach before the region. Throws `Error(kInvalidShape)` on
/// overflow.
struct ByteRange {
  std::int64_t first = 0, last = 0;
};
ByteRange touched_bytes(const Operand& operand);

}  // namespace peregrine::compiler
