// SPDX-License-Identifier: Apache-2.0
// Whole models: answers against FP32 references first, then the median time of one call, input and
// output on the device. References come from model_reference.py; without one nothing is timed.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/cuda/handles.h"
#include "core/tensor_spec.h"
#include "engine/cuda/cuda_engine.h"
#include "engine/cuda/plan_builder.h"
#include "model/half.h"
#include "peregrine/error.h"

namespace peregrine::bench {
namespace {

struct Arguments {
  std::string model, reference, json;
  cuda::Precision precision = cuda::Precision::kFloat16;
  std::vector<int> batches = {1, 8, 32};
  double tolerance = 1e-2;
  bool half_pixels = false;
  bool check_only = false;
  int tactic_limit = 8;
  int steps = 0;  // slowest steps to print
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] {
      if (i + 1 >= argc) {
        std::cerr << name << " needs a value\n";
        std::exit(2);
      }
      return std::string(argv[++i]);
    };
    if (name == "--reference") {
      arguments.reference = value();
    } else if (name == "--json") {
      arguments.json = value();
    } else if (name == "--fp32") {
      arguments.precision = cuda::Precision::kFloat32;
    } else if (name == "--half-pixels") {
      arguments.half_pixels = true;
    } else if (name == "--check-only") {
      arguments.check_only = true;
    } else if (name == "--tolerance") {
      arguments.tolerance = std::stod(value());
    } else if (name == "--first") {
      arguments.tactic_limit = std::stoi(value());
    } else if (name == "--steps") {
      arguments.steps = std::stoi(value());
    } else if (name == "--batch") {
      arguments.batches.clear();
      std::stringstream list(value());
      for (std::string each; std::getline(list, each, ',');) {
        arguments.batches.push_back(std::stoi(each));
      }
    } else {
      arguments.model = name;
    }
  }
  if (arguments.model.empty() || arguments.reference.empty()) {
    std::cerr
        << "usage: bench_engine_models MODEL.onnx --reference FILE [--batch 1,8,32] [--fp32] "
           "[--half-pixels] [--check-only] [--tolerance X] [--first N] [--steps N] [--json FILE]\n";
    std::exit(2);
  }
  return arguments;
}

// References hold planes; a plan built with --half-pixels takes [batch, height, width, 4] of FP16.
bool takes_pixels(const TensorSpec& spec) { return spec.dtype == DType::kFloat16; }
Shape reference_shape(const TensorSpec& spec, std::int64_t pictures) {
  const Shape shape = with_batch(spec, pictures);
  return takes_pixels(spec) ? Shape{shape[0], 3, shape[1], shape[2]} : shape;
}
std::vector<std::uint16_t> half_pixels(const std::vector<float>& planes, const Shape& planar) {
  const std::int64_t pixels = planar[2] * planar[3];
  std::vector<std::uint16_t> result(static_cast<std::size_t>(planar[0] * pixels * 4), 0);
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const std::int64_t image = at / (3 * pixels), plane = at / pixels % 3, pixel = at % pixels;
    result[static_cast<std::size_t>((image * pixels + pixel) * 4 + plane)] =
        model::half_from_float(planes[i]);
  }
  return result;
}

// Some pictures' inputs and right answers, as floats.
struct Reference {
  int pictures = 0;
  std::vector<std::vector<float>> inputs, outputs;
};

Reference read_reference(const std::string& path, const Engine& engine) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw Error(ErrorCode::kInputNotFound, "no reference '" + path + "'");
  const auto bytes = static_cast<std::size_t>(file.tellg());
  file.seekg(0);
  std::size_t each = 0;
  for (const auto& spec : engine.inputs()) each += element_count(reference_shape(spec, 1));
  for (const auto& spec : engine.outputs()) each += element_count(reference_shape(spec, 1));
  Reference reference;
  reference.pictures = static_cast<int>(bytes / (each * sizeof(float)));
  const auto read = [&](const std::vector<TensorSpec>& specs,
                        std::vector<std::vector<float>>& into) {
    for (const auto& spec : specs) {
      std::vector<float> values(
          static_cast<std::size_t>(element_count(reference_shape(spec, reference.pictures))));
      file.read(reinterpret_cast<char*>(values.data()),
                static_cast<std::streamsize>(values.size() * sizeof(float)));
      into.push_back(std::move(values));
    }
  };
  read(engine.inputs(), reference.inputs);
  read(engine.outputs(), reference.outputs);
  return reference;
}

// Slot i of the batch holds picture i of the reference, around and around.
std::vector<float> repeated(const std::vector<float>& values, int pictures, int batch) {
  const std::size_t size = values.size() / static_cast<std::size_t>(pictures);
  std::vector<float> result;
  for (int i = 0; i < batch; ++i) {
    const auto from =
        values.begin() + static_cast<std::ptrdiff_t>(size * static_cast<std::size_t>(i % pictures));
    result.insert(result.end(), from, from + static_cast<std::ptrdiff_t>(size));
  }
  return result;
}

double relative_l2(const std::vector<float>& actual, const std::vector<float>& expected) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double d = double(actual[i]) - expected[i];
    difference += d * d;
    norm += double(expected[i]) * expected[i];
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

class Run {
 public:
  Run(const cuda::CudaEngine& engine, const Reference& reference, int batch)
      : engine_(engine), reference_(reference), batch_(batch), context_(engine.create_context()) {
    stream_ = cuda::make_stream();
    for (std::size_t i = 0; i < engine.inputs().size(); ++i) {
      const auto values = repeated(reference.inputs[i], reference.pictures, batch);
      const TensorSpec& spec = engine.inputs()[i];
      if (takes_pixels(spec)) {
        from_.push_back(add(spec, half_pixels(values, reference_shape(spec, batch)).data()));
      } else {
        from_.push_back(add(spec, values.data()));
      }
    }
    for (const TensorSpec& spec : engine.outputs()) to_.push_back(add(spec, nullptr));
    CUDA_CHECK(cudaStreamSynchronize(nullptr));  // other streams do not wait for copies and fills
  }

  // Relative L2 of each output over the whole batch.
  std::vector<double> errors() {
    once();
    context_->wait();
    std::vector<double> errors;
    for (std::size_t k = 0; k < to_.size(); ++k) {
      const auto expected = repeated(reference_.outputs[k], reference_.pictures, batch_);
      std::vector<float> actual(expected.size());
      CUDA_CHECK(cudaMemcpy(actual.data(), to_[k].data, actual.size() * sizeof(float),
                            cudaMemcpyDeviceToHost));
      errors.push_back(relative_l2(actual, expected));
    }
    return errors;
  }

  // Median and 95th percentile in milliseconds of one call in a row of them.
  std::pair<double, double> milliseconds() {
    std::vector<double> times;
    for (int round = -3; round < 30; ++round) {
      const cuda::Event start = cuda::make_event(cuda::EventUse::kTiming),
                        stop = cuda::make_event(cuda::EventUse::kTiming);
      constexpr int kCalls = 5;
      CUDA_CHECK(cudaEventRecord(start.get(), stream_.get()));
      for (int i = 0; i < kCalls; ++i) once();
      CUDA_CHECK(cudaEventRecord(stop.get(), stream_.get()));
      CUDA_CHECK(cudaEventSynchronize(stop.get()));
      if (round >= 0) times.push_back(cuda::milliseconds_between(start, stop) / kCalls);
    }
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2], times[times.size() * 95 / 100]};
  }

 private:
  TensorView add(const TensorSpec& spec, const void* values) {
    const Shape shape = with_batch(spec, batch_);
    buffers_.emplace_back(byte_size(spec.dtype, shape));
    if (values) {
      CUDA_CHECK(cudaMemcpy(buffers_.back().data(), values, buffers_.back().bytes(),
                            cudaMemcpyHostToDevice));
    } else {
      CUDA_CHECK(cudaMemset(buffers_.back().data(), 0xff, buffers_.back().bytes()));
    }
    return TensorView(buffers_.back().data(), spec.dtype, shape, engine_.device());
  }
  void once() { context_->enqueue(from_, to_, batch_, stream_.get()); }

  const cuda::CudaEngine& engine_;
  const Reference& reference_;
  int batch_;
  std::vector<cuda::DeviceBuffer> buffers_;
  std::vector<TensorView> from_, to_;
  cuda::Stream stream_;
  std::unique_ptr<ExecutionContext> context_;
};

void print_slowest(const cuda::CudaEngine& engine, std::size_t program, int count) {
  std::vector<cuda::StepTime> times = engine.time_steps(program);
  double alone = 0, in_place = 0;
  for (const auto& each : times) {
    alone += each.microseconds;
    in_place += each.in_place;
  }
  std::stable_sort(times.begin(), times.end(),
                   [](const auto& a, const auto& b) { return a.in_place > b.in_place; });
  const compiler::Program& whole = engine.plan().programs[program];
  std::printf(
      "  batch %lld: %zu steps, %d streams, arena %.1f MiB (peak %.1f), %.1f us alone in "
      "all, %.1f in place\n",
      static_cast<long long>(whole.batch), times.size(), whole.streams,
      whole.arena_bytes / 1048576.0, whole.peak_bytes / 1048576.0, alone, in_place);
  for (std::size_t i = 0; i < std::min<std::size_t>(times.size(), count); ++i) {
    const compiler::Step& step = *times[i].step;
    std::string shapes;
    for (const auto& each : step.inputs) shapes += to_string(each.shape) + " ";
    std::printf("  %8.2f us (%7.2f alone)  %-16s %-22s %s -> %s  %s\n", times[i].in_place,
                times[i].microseconds, step.kernel.c_str(), step.tactic.c_str(), shapes.c_str(),
                to_string(step.outputs[0].shape).c_str(), step.name.c_str());
  }
}

int run(const Arguments& arguments) {
  cuda::BuildOptions options;
  options.precision = arguments.precision;
  options.batches = arguments.batches;
  options.tactic_limit = arguments.tactic_limit;
  options.half_pixels = arguments.half_pixels;
  cuda::BuildReport report;
  auto plan = cuda::build_plan(arguments.model, options, &report);
  const std::size_t weights = plan.weights.size();
  const auto engine = std::make_shared<cuda::CudaEngine>(std::move(plan), 0);
  const Reference reference = read_reference(arguments.reference, *engine);
  const std::string name = engine->plan().identity.model_name;
  std::printf("%s %s: built in %.1f s (%d tactics timed), weights %.1f MiB\n", name.c_str(),
              engine->plan().identity.precision.c_str(), report.seconds, report.tactics_timed,
              weights / 1048576.0);
  std::string json;
  bool right = true;
  std::vector<int> batches = arguments.batches;
  if (engine->max_batch() >= 3) batches.push_back(3);  // one that was not built
  for (const int batch : batches) {
    Run each(*engine, reference, batch);
    const std::vector<double> errors = each.errors();
    std::string shown;
    for (const double error : errors) {
      shown += fmt::format(" {:.1e}", error);
      right = right && error <= arguments.tolerance;  // false for NaN
    }
    const auto [median, p95] = arguments.check_only ? std::pair(0.0, 0.0) : each.milliseconds();
    std::printf("%-28s batch %2d  %8.3f ms  p95 %8.3f  error%s\n", name.c_str(), batch, median, p95,
                shown.c_str());
    std::fflush(stdout);
    json += fmt::format(
        "{{\"model\":\"{}\",\"precision\":\"{}\",\"batch\":{},\"ms\":{:.4f},\"p95_ms\":{:.4f},"
        "\"relative_l2\":[{}],\"build_s\":{:.2f},\"weights_bytes\":{},\"context_bytes\":{}}}\n",
        name, engine->plan().identity.precision, batch, median, p95, fmt::join(errors, ","),
        report.seconds, weights, engine->context_bytes());
  }
  if (arguments.steps > 0) {
    for (std::size_t p = 0; p < engine->plan().programs.size(); ++p) {
      print_slowest(*engine, p, arguments.steps);
    }
  }
  if (!arguments.json.empty()) std::ofstream(arguments.json, std::ios::app) << json;
  if (!right) std::printf("%s: WRONG: an error is past %.1e\n", name.c_str(), arguments.tolerance);
  return right ? 0 : 1;
}

}  // namespace
}  // namespace peregrine::bench

int main(int argc, char** argv) {
  try {
    return peregrine::bench::run(peregrine::bench::parse(argc, argv));
  } catch (const peregrine::Error& error) {
    std::cerr << "bench_engine_models: " << error.what() << '\n';
    return peregrine::exit_code(error.code());
  }
}
