// SPDX-License-Identifier: Apache-2.0
// Attention of the supported networks by every kernel that can run it: checks, then times a chain.
//   bench_engine_attention [--batch 1,8,32] [--only NAME] [--tactic NAME] [--offered]
// `--offered` takes only what the tuner would time.
#include <cmath>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "attention_cases.h"
#include "core/cuda/check.h"
#include "core/cuda/handles.h"
#include "engine/cuda/attention_tactics.h"
#include "fill.h"
#include "peregrine/error.h"

namespace peregrine::bench {
namespace {

struct Options {
  std::vector<int> batches = {1, 8, 32};
  std::string only, tactic;
  bool offered = false;
};

/// Q, K and V packed a token's heads side by side, as projections write them.
struct Problem {
  cuda::DeviceBuffer query, key, value, output, expected;
  cuda::AttentionParams params;
  std::size_t out_count = 0;
  double flops = 0, bytes = 0;
};

Problem make_problem(const AttentionCase& c, int batch, cudaStream_t stream) {
  const auto tensor = [&](cuda::DeviceBuffer& buffer, int tokens, int width) {
    buffer = cuda::DeviceBuffer(std::size_t(batch) * tokens * c.heads * width * 2);
    return cuda::AttentionTensor{buffer.data(), std::int64_t(tokens) * c.heads * width, width,
                                 c.heads * width};
  };
  Problem problem;
  cuda::AttentionParams& p = problem.params;
  batch *= c.windows;
  p.query = tensor(problem.query, c.queries, c.query_width);
  p.key = tensor(problem.key, c.keys, c.query_width);
  p.value = tensor(problem.value, c.keys, c.value_width);
  tensor(problem.expected, c.queries, c.value_width);
  p.output = tensor(problem.output, c.queries, c.value_width);
  unsigned seed = 1;
  problem.bytes = double(problem.output.bytes());
  for (cuda::DeviceBuffer* buffer : {&problem.query, &problem.key, &problem.value}) {
    // Scores of up to about 10: weights neither all equal nor all on one key.
    fill_half(buffer->data(), buffer->bytes() / 2, seed++, 2.0F, stream);
    problem.bytes += double(buffer->bytes());
  }
  p.batch = batch;
  p.heads = c.heads;
  p.queries = c.queries;
  p.keys = c.keys;
  p.query_width = c.query_width;
  p.value_width = c.value_width;
  p.scale = 1.0F / std::sqrt(float(c.query_width));
  problem.out_count = problem.output.bytes() / 2;
  problem.flops = 2.0 * batch * c.heads * c.queries * c.keys * (c.query_width + c.value_width);
  return problem;
}

void run_case(const AttentionCase& c, int batch, const Options& options,
              const cuda::DeviceInfo& device, cudaStream_t stream) {
  const Problem problem = make_problem(c, batch, stream);
  cuda::AttentionParams reference = problem.params;
  reference.output.data = problem.expected.data();
  cuda::named_attention_tactic("attention 64x64 mma", reference).launch(reference, true, stream);
  // What one H200 measured: 790 TFLOP/s, 4.3 TB/s; the exponentials are 16 a clock and processor.
  const double exponentials =
      problem.flops / 2 / (c.query_width + c.value_width) / (device.multiprocessors * 16 * 1755.0);
  fmt::print("{:<20} batch {:>2}  floor {:7.2f}\n", c.name, batch,
             std::max({problem.flops / 790e6, problem.bytes / 4.3e6, exponentials}));
  const std::size_t limit = options.offered ? 4 : 1000;
  for (const cuda::AttentionTactic& tactic :
       cuda::attention_tactics(problem.params, device, limit)) {
    if (!options.tactic.empty() && tactic.name != options.tactic) continue;
    CUDA_CHECK(cudaMemsetAsync(problem.output.data(), 0xff, problem.output.bytes(), stream));
    tactic.launch(problem.params, true, stream);
    const double error = relative_error_half(problem.output.data(), problem.expected.data(),
                                             problem.out_count, stream);
    // Both round the weights to FP16, after different maxima.
    if (!(error < 1e-3)) {
      throw Error(ErrorCode::kInternal, fmt::format("{} is wrong on {} (batch {}): error {:.2e}",
                                                    tactic.name, c.name, batch, error));
    }
    const int length = problem.flops > 1e10 ? 4 : 40;
    const double us = cuda::microseconds_in_chain(
        stream, length, [&] { tactic.launch(problem.params, true, stream); });
    fmt::print("  {:<26} {:8.2f} us (predicted {:7.2f}) {:6.0f} TFLOP/s\n", tactic.name, us,
               tactic.predicted_us, problem.flops / us / 1e6);
  }
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--offered") {
      options.offered = true;
      continue;
    }
    if (i + 1 == argc) throw Error(ErrorCode::kUsage, "'" + flag + "' needs a value");
    const std::string value = argv[++i];
    if (flag == "--batch") {
      options.batches.clear();
      std::istringstream list(value);
      for (std::string part; std::getline(list, part, ',');) {
        options.batches.push_back(std::stoi(part));
      }
    } else if (flag == "--only") {
      options.only = value;
    } else if (flag == "--tactic") {
      options.tactic = value;
    } else {
      throw Error(ErrorCode::kUsage, "unknown option '" + flag + "'");
    }
  }
  return options;
}

void run(const Options& options) {
  const cuda::DeviceInfo device = cuda::device_info(0);
  fmt::print("{} sm_{}, driver {}\n", device.name, device.sm(), device.driver_version);
  const cuda::Stream stream = cuda::make_stream();
  for (const AttentionCase& c : kAttentionCases) {
    if (!options.only.empty() && options.only != c.name) continue;
    for (const int batch : options.batches) run_case(c, batch, options, device, stream.get());
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace peregrine::bench

int main(int argc, char** argv) {
  try {
    peregrine::bench::run(peregrine::bench::parse(argc, argv));
    return 0;
  } catch (const peregrine::Error& error) {
    fmt::print(stderr, "bench_engine_attention: {}\n", error.what());
    return peregrine::exit_code(error.code());
  }
}
