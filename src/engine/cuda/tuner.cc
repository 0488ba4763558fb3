// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/tuner.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "compiler/tactic_cache.h"
#include "core/cuda/check.h"
#include "core/cuda/handles.h"
#include "core/stopwatch.h"
#include "core/tensor_spec.h"
#include "engine/cuda/bound_program.h"
#include "engine/cuda/tactic.h"

namespace peregrine::cuda {
namespace {

using compiler::Plan;
using compiler::Program;
using compiler::Step;

constexpr int kChainLength = 20;  // launches in one timed graph: long enough to fill the pipeline

// Device memory for every region of a plan's programs, filled with small numbers: a chip that
// multiplies zeros runs cooler, and so faster, than it will.
class Playground {
 public:
  explicit Playground(const Plan& plan) {
    std::size_t arena = 0;
    for (const Program& program : plan.programs) arena = std::max(arena, program.arena_bytes);
    arena_ = filled(arena);
    weights_ = DeviceBuffer(plan.weights.size());
    if (!plan.weights.empty()) {
      CUDA_CHECK(cudaMemcpy(weights_.data(), plan.weights.data(), plan.weights.size(),
                            cudaMemcpyHostToDevice));
    }
    const std::int64_t batch = plan.programs.back().batch;
    add(plan.inputs, batch, inputs_);
    add(plan.outputs, batch, outputs_);
    CUDA_CHECK(cudaStreamSynchronize(nullptr));  // other streams do not wait for copies and fills
    addresses_.arena = arena_.data();
    addresses_.weights = weights_.data();
    for (const DeviceBuffer& each : inputs_) addresses_.inputs.push_back(each.data());
    for (const DeviceBuffer& each : outputs_) addresses_.outputs.push_back(each.data());
  }
  const Addresses& addresses() const { return addresses_; }

 private:
  static DeviceBuffer filled(std::size_t bytes) {
    DeviceBuffer buffer(bytes);
    if (bytes > 0) CUDA_CHECK(cudaMemset(buffer.data(), 0x2c, bytes));  // FP16 0.065, FP32 2.4e-12
    return buffer;
  }
  static void add(const std::vector<TensorSpec>& specs, std::int64_t batch,
                  std::vector<DeviceBuffer>& buffers) {
    for (const TensorSpec& spec : specs) {
      buffers.push_back(filled(byte_size(spec.dtype, with_batch(spec, batch))));
    }
  }

  DeviceBuffer arena_, weights_;
  std::vector<DeviceBuffer> inputs_, outputs_;
  Addresses addresses_;
};

using Choice = compiler::TacticCache::Entry;
using Ranking = std::vector<Choice>;  // quickest first

class Tuner {
 public:
  Tuner(const Playground& playground, const DeviceInfo& device, const BuildOptions& options,
        BuildReport& report)
      : playground_(playground),
        device_(device),
        options_(options),
        report_(report),
        stream_(make_stream()) {}

  void tune(Program& program) {
    const BoundProgram bound(program, playground_.addresses());
    const int total = static_cast<int>(program.steps.size());
    for (int i = 0; i < total; ++i) {
      Step& step = program.steps[static_cast<std::size_t>(i)];
      if (options_.progress) {
        options_.progress({BuildProgress::Stage::kTune, static_cast<int>(program.batch), step.name,
                           i, total, report_.tactics_timed});
      }
      choose(bound, static_cast<std::size_t>(i), step);
    }
  }

  /// Alone, a kernel finds its weights in L2 and its code in the instruction cache; in a network it
  /// follows others. So the runners-up of each step are tried in their place as well, the whole
  /// program timed each time.
  void refine(Program& program) {
    const BoundProgram bound(program, playground_.addresses());
    double best = whole(program, bound);
    const double worth_all = kLargeShare * best;
    for (const auto& [key, total] : by_total_time(program)) {
      const Ranking& ranking = rankings_.at(key);
      const std::size_t tried = total > worth_all ? ranking.size() : kRunnersUp;
      for (std::size_t k = 1; k < ranking.size() && k < tried; ++k) {
        if (!in_time() || ranking[k].microseconds > kWorthTrying * ranking[0].microseconds) break;
        const Choice before = chosen_.at(key);
        assign(program, key, ranking[k]);
        const double us = whole(program, bound);
        ++report_.tactics_timed;
        if (us < best * kBetter) {
          best = us;
        } else {
          assign(program, key, before);
        }
      }
    }
  }

  void time(Program& program) {
    if (options_.progress) {
      options_.progress({BuildProgress::Stage::kMeasure, static_cast<int>(program.batch), ""});
    }
    const BoundProgram bound(program, playground_.addresses());
    program.microseconds = whole(program, bound);
    if (program.streams == 1) return;
    const int streams = std::exchange(program.streams, 1);
    const double in_order = whole(program, bound);
    if (program.microseconds < in_order) {
      program.streams = streams;
      return;
    }
    program.microseconds = in_order;
    for (Step& step : program.steps) {
      step.stream = 0;
      step.waits.clear();
    }
  }

 private:
  void choose(const BoundProgram& bound, std::size_t index, Step& step) {
    if (!bound.kernel(index).tactics) return;
    const std::string key = compiler::tactic_key(step);
    if (const auto known = chosen_.find(key); known != chosen_.end()) {
      step.tactic = known->second.tactic;
      step.microseconds = known->second.microseconds;
      return;
    }
    if (const auto kept = from_cache(bound, index, key)) {
      ++report_.tactics_from_cache;
      step.tactic = kept->tactic;
      step.microseconds = kept->microseconds;
      chosen_[key] = *kept;
      return;
    }
    const auto names = bound.kernel(index).tactics(bound.step(index, stream_.get()), device_,
                                                   static_cast<std::size_t>(options_.tactic_limit));
    Choice best{names.empty() ? "" : names.front(), 0};
    if (in_time() && !names.empty()) {
      best = fastest(bound, index, step, key, names);
      if (options_.tactics) options_.tactics->store(key, best);
    }
    step.tactic = best.tactic;
    step.microseconds = best.microseconds;
    chosen_[key] = best;
  }

  // Only what this build still offers.
  std::optional<Choice> from_cache(const BoundProgram& bound, std::size_t index,
                                   const std::string& key) {
    const auto kept = options_.tactics ? options_.tactics->find(key) : std::nullopt;
    if (!kept) return std::nullopt;
    constexpr std::size_t kAll = 1000;
    const auto offered =
        bound.kernel(index).tactics(bound.step(index, stream_.get()), device_, kAll);
    const bool known = std::find(offered.begin(), offered.end(), kept->tactic) != offered.end();
    return known ? kept : std::nullopt;
  }

  Choice fastest(const BoundProgram& bound, std::size_t index, Step& step, const std::string& key,
                 const std::vector<std::string>& names) {
    Ranking ranking;
    for (const std::string& name : names) {
      step.tactic = name;
      const double us = microseconds_in_chain(stream_.get(), kChainLength,
                                              [&] { bound.enqueue(index, stream_.get()); });
      ++report_.tactics_timed;
      ranking.push_back({name, us});
    }
    std::stable_sort(ranking.begin(), ranking.end(), [](const Choice& a, const Choice& b) {
      return a.microseconds < b.microseconds;
    });
    return (rankings_[key] = std::move(ranking)).front();
  }

  bool in_time() const {
    return options_.time_budget_seconds <= 0 || watch_.seconds() < options_.time_budget_seconds;
  }

  double whole(const Program& program, const BoundProgram& bound) {
    const Branches branches(program);
    return microseconds_in_chain(stream_.get(), 1, [&] { bound.enqueue(stream_.get(), branches); });
  }

  // Keys with runners-up and the microseconds of their steps, those that most time goes to first.
  std::vector<std::pair<std::string, double>> by_total_time(const Program& program) {
    std::map<std::string, double> totals;
    for (const Step& step : program.steps) {
      const std::string key = compiler::tactic_key(step);
      if (rankings_.contains(key)) totals[key] += step.microseconds;
    }
    std::vector<std::pair<std::string, double>> keys(totals.begin(), totals.end());
    std::stable_sort(keys.begin(), keys.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    return keys;
  }

  void assign(Program& program, const std::string& key, const Choice& choice) {
    for (Step& step : program.steps) {
      if (step.tactic.empty() || compiler::tactic_key(step) != key) continue;
      step.tactic = choice.tactic;
      step.microseconds = choice.microseconds;
    }
    chosen_[key] = choice;
    if (options_.tactics) options_.tactics->store(key, choice);
  }

  static constexpr std::size_t kRunnersUp = 3;  // of a step that takes little of the program
  static constexpr double kLargeShare = 0.05;
  static constexpr double kWorthTrying = 1.3, kBetter = 0.997;

  const Playground& playground_;
  const DeviceInfo& device_;
  const BuildOptions& options_;
  BuildReport& report_;
  Stream stream_;
  Stopwatch watch_;
  std::map<std::string, Choice> chosen_;     // by key
  std::map<std::string, Ranking> rankings_;  // of what was timed now, not of what was kept
};

}  // namespace

void tune(Plan& plan, const DeviceInfo& device, const BuildOptions& options, BuildReport& report) {
  const Playground playground(plan);
  Tuner tuner(playground, device, options, report);
  for (Program& program : plan.programs) tuner.tune(program);
  for (Program& program : plan.programs) tuner.refine(program);
  for (Program& program : plan.programs) tuner.time(program);
}

}  // namespace peregrine::cuda
