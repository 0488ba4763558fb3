// SPDX-License-Identifier: Apache-2.0
// Every convolution of a network by every kernel that can run it: checks, then times, then chains
// the best ones as the network would. Writes all figures as JSON lines; prints tables.
//   bench_engine_conv [--model yolo11n] [--batch 1,8,32] [--json FILE] [--floor]
//                     [--only CONVOLUTION] [--tactic NAME] [--first N]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "chain_timer.h"
#include "conv_cases.h"
#include "conv_reference.h"
#include "core/cuda/device_info.h"
#include "engine/cuda/conv_tactics.h"
#include "fill.h"
#include "peregrine/error.h"

namespace peregrine::bench {
namespace {

using cuda::ConvParams;

/// Device memory of one case; pictures live in `Pictures`.
struct Problem {
  ConvParams params;
  cuda::DeviceBuffer weight, bias;
  std::size_t in_count = 0, out_count = 0;
  double flops = 0, bytes = 0;
};

/// Two pictures that all convolutions of a network read and write in turns, so that a chain of them
/// finds its input where a network would: in the L2 as far as that reaches.
struct Pictures {
  cuda::DeviceBuffer first, second, expected;
};

bool is_stem(const ConvCase& c) { return c.in < 8; }

Problem make_problem(const ConvCase& c, int batch, const cuda::Stream& stream) {
  Problem problem;
  ConvParams& p = problem.params;
  p.batch = batch;
  p.in_height = c.height;
  p.in_width = c.width;
  p.in_channels = c.in / c.groups;
  p.out_channels = c.out / c.groups;
  p.groups = c.groups;
  p.kernel_height = p.kernel_width = c.kernel;
  p.stride_y = p.stride_x = c.stride;
  p.pad_top = p.pad_left = c.kernel / 2;
  p.out_height = (c.height + 2 * p.pad_top - c.kernel) / c.stride + 1;
  p.out_width = (c.width + 2 * p.pad_left - c.kernel) / c.stride + 1;
  p.activation.kind = cuda::Activation::kSilu;
  p.source[0].channels = p.source[0].pixel_stride = c.in;
  p.source[0].height = c.height;
  p.source[0].width = c.width;
  p.output_stride = c.out;
  problem.in_count = std::size_t(batch) * c.height * c.width * c.in;
  problem.out_count = std::size_t(p.pixels()) * c.out;
  const std::size_t weights =
      std::size_t(c.out) * (is_stem(c) ? conv_stem_padded_reduction(p) : p.reduction());
  problem.weight = cuda::DeviceBuffer(weights * 2);
  problem.bias = cuda::DeviceBuffer(c.out * sizeof(float));
  fill_half(problem.weight.data(), weights, 2, std::sqrt(6.0f / p.reduction()), stream.get());
  fill_float(problem.bias.data(), c.out, 3, 1.0f, stream.get());
  p.weight = problem.weight.data();
  p.bias = problem.bias.as<float>();
  problem.flops = 2.0 * double(problem.out_count) * p.reduction();
  // The stem reads FP32 planes.
  problem.bytes = (is_stem(c) ? 4.0 : 2.0) * double(problem.in_count) +
                  2.0 * double(problem.out_count + weights);
  return problem;
}

Pictures make_pictures(const std::string& model, int batch, const cuda::Stream& stream) {
  std::size_t bytes = 0;
  for (const ConvCase& c : kConvCases) {
    if (model != c.model) continue;
    const Problem problem = make_problem(c, batch, stream);
    bytes = std::max({bytes, problem.in_count * (is_stem(c) ? 4 : 2), problem.out_count * 2});
  }
  return {cuda::DeviceBuffer(bytes), cuda::DeviceBuffer(bytes), cuda::DeviceBuffer(bytes)};
}

/// The stem and depthwise kernels lay out input or weights in their own way: the reference
/// cannot read the same bytes, and tests/engine/cuda checks them.
bool has_own_layout(const ConvCase& c) { return is_stem(c) || c.groups > 1; }

/// Limits a run to one convolution or tactic, for a profiler, or to the cost model's first choices;
/// empty and zero take all.
struct Only {
  std::string convolution, tactic;
  std::size_t first = 0;
};

struct Winner {
  cuda::ConvTactic tactic;
  double microseconds = std::numeric_limits<double>::infinity();
};

/// The fastest tactic; throws where one gives a wrong answer.
Winner best(const ConvCase& c, const Problem& problem, const Pictures& pictures, const Only& only,
            const cuda::DeviceInfo& device, const cuda::Stream& stream, std::ostream& json) {
  ConvParams p = problem.params;
  p.source[0].data = pictures.first.data();
  p.output = pictures.second.data();
  const std::size_t count = problem.out_count;
  if (is_stem(c)) {
    fill_float(pictures.first.data(), problem.in_count, 1, 1.0f, stream.get());
  } else {
    fill_half(pictures.first.data(), problem.in_count, 1, 1.0f, stream.get());
  }
  if (!has_own_layout(c)) {
    ConvParams reference = p;
    reference.output = pictures.expected.data();
    launch_conv_reference(reference, stream.get());
  }
  Winner winner;
  const std::size_t limit = only.first > 0 ? only.first : 1000;
  for (const cuda::ConvTactic& tactic : cuda::conv_tactics(p, is_stem(c), device, limit)) {
    if (!only.tactic.empty() && tactic.name != only.tactic) continue;
    if (!has_own_layout(c)) {
      CUDA_CHECK(cudaMemsetAsync(p.output, 0xff, count * 2, stream.get()));
      tactic.launch(p, true, stream.get());
      const double error =
          relative_error_half(p.output, pictures.expected.data(), count, stream.get());
      if (!(error < 1e-3)) {
        throw Error(ErrorCode::kInternal, fmt::format("{} is wrong on {} (batch {}): error {:.2e}",
                                                      tactic.name, c.name, p.batch, error));
      }
    }
    // About 200 us a chain, so that the graph's own 2 us stay small.
    const int length = problem.flops > 5e9 ? 4 : problem.flops > 5e8 ? 10 : 40;
    const double us = cuda::microseconds_in_chain(stream.get(), length,
                                                  [&] { tactic.launch(p, true, stream.get()); });
    json << fmt::format(
        "{{\"model\":\"{}\",\"name\":\"{}\",\"batch\":{},\"in\":{},\"out\":{},\"kernel\":{},"
        "\"stride\":{},\"groups\":{},\"height\":{},\"tactic\":\"{}\",\"us\":{:.3f},"
        "\"predicted_us\":{:.3f}}}\n",
        c.model, c.name, p.batch, c.in, c.out, c.kernel, c.stride, c.groups, c.height, tactic.name,
        us, tactic.predicted_us);
    if (us < winner.microseconds) winner = {tactic, us};
  }
  return winner;
}

void run_network(const std::string& model, int batch, const Only& only,
                 const cuda::DeviceInfo& device, const cuda::Stream& stream, std::ostream& json) {
  struct Chosen {
    const ConvCase* c;
    Problem problem;
    cuda::ConvTactic tactic;
  };
  std::vector<Chosen> network;
  const Pictures pictures = make_pictures(model, batch, stream);
  double sum = 0, floor = 0;
  int nodes = 0;
  fmt::print(
      "{} batch {}\n{:<38} {:>4} {:>5} {:>4} {:>4} {:>5} {:>3}  {:<22} {:>8} {:>8} {:>7} {:>6}\n",
      model, batch, "convolution", "in", "out", "k", "s", "size", "x", "best", "us", "floor",
      "TFLOP/s", "TB/s");
  for (const ConvCase& c : kConvCases) {
    if (model != c.model) continue;
    if (!only.convolution.empty() && only.convolution != c.name) continue;
    Problem problem = make_problem(c, batch, stream);
    const Winner winner = best(c, problem, pictures, only, device, stream, json);
    // What one H200 measured: 790 TFLOP/s, 4.3 TB/s.
    const double bound = std::max(problem.flops / 790e6, problem.bytes / 4.3e6);
    fmt::print(
        "{:<38} {:>4} {:>5} {:>4} {:>4} {:>5} {:>3}  {:<22} {:>8.2f} {:>8.2f} {:>7.0f} {:>6.2f}\n",
        c.name, c.in, c.out, c.kernel, c.stride, c.height, c.count, winner.tactic.name,
        winner.microseconds, bound, problem.flops / winner.microseconds / 1e6,
        problem.bytes / winner.microseconds / 1e6);
    sum += winner.microseconds * c.count;
    floor += bound * c.count;
    nodes += c.count;
    network.push_back({&c, std::move(problem), winner.tactic});
  }
  double chained[2];
  for (const bool overlapped : {false, true}) {
    void *from = pictures.first.data(), *to = pictures.second.data();
    const cuda::GraphExec graph = cuda::capture(stream.get(), [&] {
      for (const Chosen& chosen : network) {
        for (int i = 0; i < chosen.c->count; ++i) {
          ConvParams p = chosen.problem.params;
          p.source[0].data = from;
          p.output = to;
          chosen.tactic.launch(p, overlapped, stream.get());
          std::swap(from, to);
        }
      }
    });
    chained[overlapped] = microseconds_per_replay(graph, stream, 21);
  }
  fmt::print(
      "{} batch {}: {} convolutions, sum of best {:.1f} us, one chained graph {:.1f} us "
      "(without programmatic launch {:.1f}), floor {:.1f} us\n\n",
      model, batch, nodes, sum, chained[1], chained[0], floor);
  json << fmt::format(
      "{{\"network\":\"{}\",\"batch\":{},\"nodes\":{},\"sum_us\":{:.2f},"
      "\"chained_us\":{:.2f},\"chained_plain_us\":{:.2f},\"floor_us\":{:.2f}}}\n",
      model, batch, nodes, sum, chained[1], chained[0], floor);
}

/// What nodes cost that do almost nothing, by grid size, with and without programmatic launch.
void run_floor(const cuda::Stream& stream, std::ostream& json) {
  const cuda::DeviceBuffer buffer(std::size_t{64} << 20);
  fill_float(buffer.data(), buffer.bytes() / 4, 1, 1.0f, stream.get());
  fmt::print("{:>7} {:>13} {:>12} {:>12}\n", "blocks", "bytes/thread", "plain us", "overlap us");
  for (const int blocks : {1, 32, 132, 264, 528, 1056}) {
    for (const int floats : {1, 16}) {
      double us[2];
      for (const bool overlapped : {false, true}) {
        us[overlapped] = cuda::microseconds_in_chain(stream.get(), 100, [&] {
          launch_touch(buffer.as<float>(), floats, blocks, overlapped, stream.get());
        });
      }
      fmt::print("{:>7} {:>13} {:>12.3f} {:>12.3f}\n", blocks, floats * 4, us[0], us[1]);
      json << fmt::format(
          "{{\"floor_blocks\":{},\"bytes_per_thread\":{},\"plain_us\":{:.3f},\"overlap_us\":{:.3f}}"
          "}\n",
          blocks, floats * 4, us[0], us[1]);
    }
  }
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

int run(int argc, char** argv) {
  std::string models = "yolo11n", batches = "1,8,32", json_path = "/dev/null";
  bool floor = false;
  Only only;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--floor") {
      floor = true;
    } else if (i + 1 == argc) {
      throw Error(ErrorCode::kUsage,
                  "usage: bench_engine_conv [--model LIST] [--batch LIST] "
                  "[--json FILE] [--floor]");
    } else if (flag == "--model") {
      models = argv[++i];
    } else if (flag == "--batch") {
      batches = argv[++i];
    } else if (flag == "--only") {
      only.convolution = argv[++i];
    } else if (flag == "--tactic") {
      only.tactic = argv[++i];
    } else if (flag == "--first") {
      only.first = static_cast<std::size_t>(std::stoi(argv[++i]));
    } else if (flag == "--json") {
      json_path = argv[++i];
    } else {
      throw Error(ErrorCode::kUsage, "unknown option '" + flag + "'");
    }
  }
  const cuda::DeviceInfo device = cuda::device_info(0);
  fmt::print("{} sm_{}, driver {}\n", device.name, device.sm(), device.driver_version);
  std::ofstream json(json_path);
  const cuda::Stream stream = cuda::make_stream();
  if (floor) run_floor(stream, json);
  for (const std::string& model : split(models)) {
    for (const std::string& batch : split(batches)) {
      run_network(model, std::stoi(batch), only, device, stream, json);
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace peregrine::bench

int main(int argc, char** argv) {
  try {
    return peregrine::bench::run(argc, argv);
  } catch (const peregrine::Error& error) {
    fmt::print(stderr, "bench_engine_conv: {}\n", error.what());
    return peregrine::exit_code(error.code());
  }
}
