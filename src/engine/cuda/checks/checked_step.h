// SPDX-License-Identifier: Apache-2.0
// What a kernel takes for granted about its step. A plan file is data from elsewhere: its operands
// lie within their regions (compiler/plan_check.h), and here each kernel says what else must hold
// so that it reads and writes nothing beside them, whatever shapes and attributes a file pairs up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/program.h"
#include "engine/cuda/kernel_table.h"

namespace peregrine::cuda {

/// Throws `Error(kModelInvalid)` naming the step and what is wrong with it; also where there is no
/// such kernel. `weights` is the plan's region of constants: tables of positions are read from it.
void check_step(const compiler::Step& step, std::span<const std::byte> weights);

/// A step as its check sees it. All accessors throw what `check_step` does.
class CheckedStep {
 public:
  static constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();

  CheckedStep(const compiler::Step& step, std::span<const std::byte> weights)
      : step_(step), weights_(weights) {}

  const compiler::Step& step() const { return step_; }
  void require(bool holds, const char* what) const {
    if (!holds) fail(what);
  }
  [[noreturn]] void fail(const std::string& what) const;

  /// Operands that must be there; `optional_input` may be absent.
  const compiler::Operand& input(std::size_t index) const;
  const compiler::Operand& optional_input(std::size_t index) const;
  const compiler::Operand& output(std::size_t index = 0) const;
  const compiler::Operand& optional_output(std::size_t index) const;

  void require_rank(const compiler::Operand& operand, int least, int most) const;
  void require_same_shape(const compiler::Operand& a, const compiler::Operand& b) const;
  void require_dtype(const compiler::Operand& operand, DType dtype) const;
  void require_float(const compiler::Operand& operand) const;  ///< float32 or float16
  void require_index(const compiler::Operand& operand) const;  ///< int64 or int32
  /// Packed, at a multiple of 16 bytes, at least so many elements.
  void require_constants(const compiler::Operand& operand, DType dtype, std::int64_t count) const;

  std::int64_t number(std::string_view name, std::int64_t otherwise, std::int64_t least,
                      std::int64_t most = kMost) const;
  model::Ints numbers(std::string_view name, std::size_t count, std::int64_t least,
                      std::int64_t most = kMost) const;
  /// The attribute "axis"; from the back too where the kernel's parameters count so.
  std::size_t axis(int rank) const;
  std::size_t axis_from_either_end(int rank) const;
  /// Different axes below `rank`, one to `most` of them.
  std::vector<std::size_t> axes(int rank, std::size_t most) const;

  /// `count` groups of `taps` int32 positions from entry `start` of the constant `table`: each
  /// group lies within an axis of `extent`, or begins with -1 (nothing is read).
  void require_positions(const compiler::Operand& table, std::int64_t start, std::int64_t count,
                         std::int64_t taps, std::int64_t extent) const;

 private:
  const compiler::Step& step_;
  std::span<const std::byte> weights_;
};

/// A step whose operands have addresses that only say how they are aligned.
class AlignedStep {
 public:
  explicit AlignedStep(const compiler::Step& step);
  BoundStep bound() const { return {step_, inputs_, outputs_}; }

 private:
  const compiler::Step& step_;
  std::vector<TensorView> inputs_, outputs_;
};

/// One function a kernel: declared here by the table, defined beside this file.
#define PEREGRINE_KERNEL(name) void check_##name(const CheckedStep& step);
#define PEREGRINE_TUNED_KERNEL(name) PEREGRINE_KERNEL(name)
#include "engine/cuda/kernels.def"
#undef PEREGRINE_TUNED_KERNEL
#undef PEREGRINE_KERNEL

}  // namespace peregrine::cuda
