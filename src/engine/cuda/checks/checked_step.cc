// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/checks/checked_step.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "compiler/strided.h"
#include "engine/cuda/ops/operands.h"
#include "peregrine/error.h"

namespace peregrine::cuda {

using compiler::Operand;
using compiler::Step;

namespace {

struct Check {
  std::string_view kernel;
  void (*run)(const CheckedStep& step);
};
constexpr Check kChecks[] = {
#define PEREGRINE_KERNEL(name) {#name, &check_##name},
#define PEREGRINE_TUNED_KERNEL(name) PEREGRINE_KERNEL(name)
#include "engine/cuda/kernels.def"
#undef PEREGRINE_TUNED_KERNEL
#undef PEREGRINE_KERNEL
};

const Operand& at(std::span<const Operand> operands, std::size_t index) {
  static const Operand absent;
  return index < operands.size() ? operands[index] : absent;
}

}  // namespace

void check_step(const Step& step, std::span<const std::byte> weights) {
  const CheckedStep checked(step, weights);
  const auto* check = std::find_if(std::begin(kChecks), std::end(kChecks),
                                   [&](const Check& each) { return each.kernel == step.kernel; });
  if (check == std::end(kChecks)) checked.fail("this version has no such kernel");
  try {
    check->run(checked);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kModelInvalid) throw;
    checked.fail(error.what());
  }
}

void CheckedStep::fail(const std::string& what) const {
  throw Error(ErrorCode::kModelInvalid,
              fmt::format("step '{}' ({}) of the plan cannot run: {}; build the plan again",
                          step_.name, step_.kernel, what));
}

const Operand& CheckedStep::optional_input(std::size_t index) const {
  return at(step_.inputs, index);
}
const Operand& CheckedStep::optional_output(std::size_t index) const {
  return at(step_.outputs, index);
}
const Operand& CheckedStep::input(std::size_t index) const {
  if (optional_input(index).is_absent()) fail(fmt::format("it lacks input {}", index));
  return step_.inputs[index];
}
const Operand& CheckedStep::output(std::size_t index) const {
  if (optional_output(index).is_absent()) fail(fmt::format("it lacks output {}", index));
  return step_.outputs[index];
}

void CheckedStep::require_rank(const Operand& operand, int least, int most) const {
  if (operand.rank() >= least && operand.rank() <= most) return;
  fail(fmt::format("an operand of {} has a rank the kernel does not know",
                   to_string(operand.shape)));
}

void CheckedStep::require_same_shape(const Operand& a, const Operand& b) const {
  if (a.shape == b.shape) return;
  fail(fmt::format("it pairs {} with {}", to_string(a.shape), to_string(b.shape)));
}

void CheckedStep::require_dtype(const Operand& operand, DType dtype) const {
  if (operand.dtype == dtype) return;
  fail(fmt::format("an operand is {} in place of {}", to_string(operand.dtype), to_string(dtype)));
}

void CheckedStep::require_float(const Operand& operand) const {
  if (operand.dtype == DType::kFloat32 || operand.dtype == DType::kFloat16) return;
  fail(fmt::format("an operand is {} in place of a float", to_string(operand.dtype)));
}

void CheckedStep::require_index(const Operand& operand) const {
  if (operand.dtype == DType::kInt64 || operand.dtype == DType::kInt32) return;
  fail(fmt::format("its indices are {}", to_string(operand.dtype)));
}

void CheckedStep::require_constants(const Operand& operand, DType dtype, std::int64_t count) const {
  require_dtype(operand, dtype);
  require(compiler::is_packed(operand.shape, operand.strides) && operand.offset % 16 == 0,
          "its constants are not packed");
  if (element_count(operand.shape) >= count) return;
  fail(fmt::format("it has {} constants where it reads {}", element_count(operand.shape), count));
}

std::int64_t CheckedStep::number(std::string_view name, std::int64_t otherwise, std::int64_t least,
                                 std::int64_t most) const {
  const std::int64_t value = step_.attributes.get_int(name, otherwise);
  if (value < least || value > most) fail(fmt::format("its '{}' is {}", name, value));
  return value;
}

model::Ints CheckedStep::numbers(std::string_view name, std::size_t count, std::int64_t least,
                                 std::int64_t most) const {
  const model::Ints values = step_.attributes.get_ints(name);
  const bool fits =
      values.size() == count &&
      std::all_of(values.begin(), values.end(), [&](auto v) { return v >= least && v <= most; });
  if (!fits) fail(fmt::format("its '{}' is {}", name, to_string(values)));
  return values;
}

std::size_t CheckedStep::axis(int rank) const {
  return static_cast<std::size_t>(number("axis", 0, 0, std::int64_t{rank} - 1));
}

std::size_t CheckedStep::axis_from_either_end(int rank) const {
  const std::int64_t value = number("axis", 0, -std::int64_t{rank}, std::int64_t{rank} - 1);
  return static_cast<std::size_t>(value < 0 ? value + rank : value);
}

std::vector<std::size_t> CheckedStep::axes(int rank, std::size_t most) const {
  std::vector<std::size_t> result;
  for (const std::int64_t axis : step_.attributes.get_ints("axes")) {
    const auto each = static_cast<std::size_t>(axis);
    if (axis < 0 || axis >= rank || std::count(result.begin(), result.end(), each) > 0) {
      fail(fmt::format("it has no axis {}, or has it twice", axis));
    }
    result.push_back(each);
  }
  require(!result.empty() && result.size() <= most, "it works on too many axes, or on none");
  return result;
}

void CheckedStep::require_positions(const Operand& table, std::int64_t start, std::int64_t count,
                                    std::int64_t taps, std::int64_t extent) const {
  require(table.region == compiler::Region::kWeights, "its table of positions is no constant");
  require(start >= 0 && start <= kMost && taps >= 1 && taps <= kMost && count <= kMost,
          "it reads beside its table of positions");
  require_constants(table, DType::kInt32, start + count * taps);
  require(touched_bytes(table).last <= static_cast<std::int64_t>(weights_.size()),
          "its table of positions is cut off");
  const std::byte* entries = weights_.data() + table.offset;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      std::int32_t position = 0;
      std::memcpy(&position, entries + (start + i * taps + tap) * std::int64_t{sizeof(position)},
                  sizeof(position));
      if (tap == 0 && position == -1) break;
      if (position < 0 || position >= extent) {
        fail(fmt::format("its table names position {} of an axis of {}", position, extent));
      }
    }
  }
}

AlignedStep::AlignedStep(const Step& step) : step_(step) {
  for (const Operand& each : step.inputs) inputs_.push_back(alignment_view(each));
  for (const Operand& each : step.outputs) outputs_.push_back(alignment_view(each));
}

}  // namespace peregrine::cuda
