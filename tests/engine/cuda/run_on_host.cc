// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/run_on_host.h"

#include <algorithm>
#include <stdexcept>

#include "engine/cuda/bound_program.h"
#include "engine/cuda/checks/checked_step.h"
#include "engine/cuda/heavy_on_host.h"
#include "engine/cuda/host_rows.h"
#include "engine/cuda/indexing_on_host.h"
#include "engine/cuda/kernels/pointwise_math.h"
#include "engine/cuda/ops/rows.h"
#include "engine/cuda/pointwise_chain.h"

namespace peregrine::testing {
namespace {

using namespace peregrine::cuda;

template <typename T>
void pointwise_chain(const PointwiseParams& p, int width) {
  if (width == 8) {
    for (int g = 0; g < p.count / 8; ++g) pointwise::run<T, 8>(p, pointwise::Groups<8>(p, g));
  } else if (width == 4) {
    for (int g = 0; g < p.count / 4; ++g) pointwise::run<T, 4>(p, pointwise::Groups<4>(p, g));
  } else {
    // As the kernel does: elements of a thread lie a block of 32 apart, the last ones past the end.
    for (int block = 0; block * 128 < p.count; ++block) {
      for (int thread = 0; thread < 32; ++thread) {
        const int first = block * 128 + thread;
        pointwise::run<T, 4>(
            p, pointwise::Scattered<4>(p, {first, first + 32, first + 64, first + 96}));
      }
    }
  }
}

}  // namespace

std::vector<Tensor> run_on_host(const model::Graph& graph, Precision precision,
                                std::span<const Tensor> inputs, bool wide) {
  compiler::Plan plan = lower_to_plan(std::span(&graph, 1), precision);
  const compiler::Program& program = plan.programs.front();
  for (const compiler::Step& step : program.steps) check_step(step, plan.weights);
  Tensor arena(DType::kUint8, {static_cast<std::int64_t>(program.arena_bytes) + 1});
  std::fill_n(arena.as<std::uint8_t>().data(), arena.size(), std::uint8_t{0xff});
  Tensor weights(DType::kUint8, {static_cast<std::int64_t>(plan.weights.size()) + 1});
  std::copy(plan.weights.begin(), plan.weights.end(), static_cast<std::byte*>(weights.data()));
  std::vector<Tensor> results;
  for (const model::Value* output : graph.outputs()) {
    results.emplace_back(output->dtype, output->shape);
  }
  Addresses addresses{arena.data(), weights.data(), {}, {}};
  for (const Tensor& input : inputs) addresses.inputs.push_back(const_cast<void*>(input.data()));
  for (Tensor& result : results) addresses.outputs.push_back(result.data());
  const BoundProgram bound(program, addresses);
  for (std::size_t k = 0; k < bound.size(); ++k) {
    const BoundStep step = bound.step(k, nullptr);
    if (run_indexing_on_host(step)) continue;
    if (step.step.kernel == "pointwise") {
      const PointwiseParams p = pointwise_params(step);
      const int width = wide ? pointwise_width(p) : 1;
      p.integers ? pointwise_chain<std::int64_t>(p, width) : pointwise_chain<float>(p, width);
    } else if (step.step.kernel == "reduce") {
      reduce_on_host(reduce_params(step));
    } else if (step.step.kernel == "normalize") {
      normalize_on_host(normalize_params(step));
    } else if (step.step.kernel == "cumulative_sum") {
      cumulative_sum_on_host(cumulative_sum_params(step));
    } else if (step.step.kernel == "local_response") {
      local_response_on_host(local_response_params(step));
    } else if (!run_heavy_on_host(step)) {
      throw std::runtime_error("the host has no kernel '" + step.step.kernel + "'");
    }
  }
  return results;
}

}  // namespace peregrine::testing
