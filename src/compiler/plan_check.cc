// SPDX-License-Identifier: Apache-2.0
#include "compiler/plan_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "compiler/plan_codec.h"
#include "peregrine/error.h"

namespace peregrine::compiler {
namespace {

constexpr std::size_t kMaxRank = 16;
constexpr std::int64_t kMaxBatch = 1 << 16;
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 46;  // of a region: beyond any GPU's memory

[[noreturn]] void fail(const std::string& what) { throw MalformedPlan(what); }

void check_spec(const TensorSpec& spec, const char* side) {
  if (spec.name.empty()) fail(fmt::format("an {} without a name", side));
  if (spec.dtype > DType::kBool) fail(fmt::format("an {} of unknown dtype", side));
  if (spec.shape.size() > kMaxRank) fail(fmt::format("an {} of rank {}", side, spec.shape.size()));
  for (std::size_t i = 0; i < spec.shape.size(); ++i) {
    const std::int64_t dimension = spec.shape[i];
    if (dimension < 0 && !(dimension == -1 && i == 0)) {
      fail(fmt::format("an {} of shape {}", side, to_string(spec.shape)));
    }
  }
}

// Bytes of an input or output of one batch; throws what `byte_size` throws.
std::int64_t bound_bytes(const TensorSpec& spec, std::int64_t batch) {
  Shape shape = spec.shape;
  std::replace(shape.begin(), shape.end(), std::int64_t{-1}, batch);
  return static_cast<std::int64_t>(byte_size(spec.dtype, shape));
}

// Checks the programs of one plan.
class ProgramCheck {
 public:
  ProgramCheck(const Plan& plan, std::size_t weights_bytes, const Program& program)
      : plan_(plan), weights_bytes_(static_cast<std::int64_t>(weights_bytes)), program_(program) {}

  void run() const {
    if (program_.batch < 1 || program_.batch > kMaxBatch) fail("a batch out of range");
    if (program_.arena_bytes > static_cast<std::size_t>(kMaxBytes)) fail("an impossible arena");
    if (program_.peak_bytes > program_.arena_bytes) fail("an arena below its own peak");
    if (!is_time(program_.microseconds)) fail("a time that is none");
    constexpr int kMostStreams = 64;
    if (program_.streams < 1 || program_.streams > kMostStreams)
      fail("a number of streams out of range");
    for (const TensorSpec& spec : plan_.inputs) bound_bytes(spec, program_.batch);
    for (const TensorSpec& spec : plan_.outputs) bound_bytes(spec, program_.batch);
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      try {
        check(program_.steps[i]);
      } catch (const std::runtime_error& error) {
        fail(fmt::format("step {}: {}", i, error.what()));
      }
    }
  }

 private:
  static bool is_time(double microseconds) {
    return std::isfinite(microseconds) && microseconds >= 0;
  }

  void check(const Step& step) const {
    if (step.kernel.empty()) fail("no kernel");
    if (step.epilogue.residual > model::Epilogue::Residual::kAfterActivation) {
      fail("an unknown kind of residual");
    }
    if (!is_time(step.microseconds)) fail("a time that is none");
    if (step.flops < 0) fail("a negative amount of work");
    if (step.stream < 0 || step.stream >= program_.streams) fail("a stream beyond the last");
    const auto index = &step - program_.steps.data();
    for (const int wait : step.waits) {
      if (wait < 0 || wait >= index) fail("a step that waits for a later one");
    }
    for (const Operand& operand : step.inputs) check(operand);
    for (const Operand& operand : step.outputs) {
      check(operand);
      if (operand.region == Region::kWeights || operand.region == Region::kInput) {
        fail("writes to what is only read");
      }
    }
  }

  void check(const Operand& operand) const {
    if (operand.region > Region::kOutput) fail("an operand in an unknown region");
    if (operand.dtype > DType::kBool) fail("an operand of unknown dtype");
    if (operand.shape.size() > kMaxRank || operand.shape.size() != operand.strides.size()) {
      fail(fmt::format("an operand with {} dimensions and {} strides", operand.shape.size(),
                       operand.strides.size()));
    }
    if (operand.is_absent()) return;
    element_count(operand.shape);  // throws for negative dimensions and beyond 2^63
    if (operand.offset % static_cast<std::int64_t>(size_of(operand.dtype)) != 0) {
      fail("an operand between elements");
    }
    const std::int64_t size = region_bytes(operand);
    const ByteRange range = touched_bytes(operand);
    if (range.first < 0 || range.last > size) {
      fail(fmt::format("an operand reaches from byte {} to {} of a region of {}", range.first,
                       range.last, size));
    }
  }

  std::int64_t region_bytes(const Operand& operand) const {
    switch (operand.region) {
      case Region::kArena:
      case Region::kWeights:
        if (operand.index != 0) fail("an operand in an unknown region");
        return operand.region == Region::kWeights ? weights_bytes_
                                                  : static_cast<std::int64_t>(program_.arena_bytes);
      case Region::kInput: return bound_bytes(bound(plan_.inputs, operand.index), program_.batch);
      case Region::kOutput: return bound_bytes(bound(plan_.outputs, operand.index), program_.batch);
      case Region::kAbsent: break;
    }
    return 0;
  }

  static const TensorSpec& bound(const std::vector<TensorSpec>& specs, int index) {
    if (index < 0 || index >= std::ssize(specs))
      fail("an operand of an input or output beyond the last");
    return specs[static_cast<std::size_t>(index)];
  }

  const Plan& plan_;
  const std::int64_t weights_bytes_;
  const Program& program_;
};

}  // namespace

void check_plan(const Plan& plan, std::size_t weights_bytes) {
  if (weights_bytes > static_cast<std::size_t>(kMaxBytes)) fail("impossible weights");
  if (plan.inputs.empty() || plan.outputs.empty()) fail("no inputs or no outputs");
  for (const TensorSpec& spec : plan.inputs) check_spec(spec, "input");
  for (const TensorSpec& spec : plan.outputs) check_spec(spec, "output");
  if (plan.programs.empty()) fail("no program");
  std::int64_t before = 0;
  for (const Program& program : plan.programs) {
    if (program.batch <= before) fail("programs that are not by ascending batch");
    before = program.batch;
    try {
      ProgramCheck(plan, weights_bytes, program).run();
    } catch (const std::runtime_error& error) {
      fail(fmt::format("batch {}: {}", program.batch, error.what()));
    }
  }
}

}  // namespace peregrine::compiler
