// SPDX-License-Identifier: Apache-2.0
#include "engine/factory.h"

#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "compiler/plan_cache.h"
#include "compiler/plan_file.h"
#include "core/log.h"
#include "core/machine.h"
#include "engine/openvino/openvino_engine.h"
#include "model/model_digest.h"
#include "peregrine/error.h"

namespace peregrine::engine {
namespace {

std::unique_ptr<Engine> make_cpu_engine(const std::string& path, const EngineOptions& options) {
  if (compiler::is_plan_file(path)) {
    throw Error(ErrorCode::kUsage,
                fmt::format("'{}' is a plan, which runs on the GPU that it was built for; give the "
                            "ONNX file to run on the CPU",
                            path));
  }
  return make_openvino_engine(path, {.threads = options.threads,
                                     .max_batch = options.max_batch,
                                     .input_height = options.input_height,
                                     .input_width = options.input_width,
                                     .latency = options.latency});
}

// One the CUDA engine runs on: sm_80 and later.
bool has_usable_gpu() {
  if (!has_cuda_engine()) return false;
  const GpuResources found = probe_gpus();
  return !found.gpus.empty() && found.gpus[0].compute_major >= 8;
}

std::unique_ptr<Engine> make_best_engine(const std::string& path, const EngineOptions& options) {
  if (compiler::is_plan_file(path)) return make_gpu_engine(path, 0, options);
  if (!has_usable_gpu()) return make_cpu_engine(path, options);
  try {
    return make_gpu_engine(path, 0, options);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kModelUnsupported) throw;
    logger("engine")->warn("'{}' runs on the CPU: {}", path, error.what());
    return make_cpu_engine(path, options);
  }
}

// Single pictures too where several at once are asked for: streams end and pause.
std::vector<int> batches_for(const EngineOptions& options) {
  if (!options.batches.empty()) return options.batches;
  return options.max_batch > 1 ? std::vector<int>{1, options.max_batch} : std::vector<int>{1};
}

compiler::Plan build(const std::string& path, int device, const EngineOptions& options,
                     const std::string& precision, const std::vector<int>& batches) {
  BuildRequest request;
  request.model = path;
  request.precision = precision;
  request.batches = batches;
  request.height = options.input_height;
  request.width = options.input_width;
  request.half_pixels = options.half_pixels;
  request.device = device;
  if (options.progress) {
    request.progress = [&](const BuildStatus& status) {
      options.progress(fmt::format("building a plan for '{}': {}", path, to_string(status)));
    };
  }
  BuildResult built = build_plan(request);
  if (options.progress) options.progress("");
  return std::move(built.plan);
}

// Out of the cache, or built and put there.
compiler::Plan plan_for(const std::string& path, int device, const EngineOptions& options) {
  const std::string precision = options.precision == "auto" ? "fp16" : options.precision;
  const compiler::PlanRequest request{batches_for(options), options.input_height,
                                      options.input_width, options.half_pixels};
  compiler::PlanIdentity wanted = gpu_identity(device);
  wanted.model_sha256 = model::model_digest(path);
  wanted.precision = precision;
  const std::string cached = compiler::plan_cache_path(wanted, request);
  std::string reason;
  if (auto plan = compiler::find_cached_plan(cached, wanted, reason)) return std::move(*plan);
  if (!reason.empty()) {
    logger("engine")->warn("the plan kept for '{}' is built anew: {}", path, reason);
  }
  compiler::Plan plan = build(path, device, options, precision, request.batches);
  try {
    if (!cached.empty()) compiler::write_plan(plan, cached);
  } catch (const Error& unwritable) {
    logger("engine")->warn("the plan for '{}' is not kept: {}", path, unwritable.what());
  }
  return plan;
}

}  // namespace

// "cuda" is the first GPU, "cuda:N" the one of that number.
int parse_cuda_device(const std::string& device) {
  int index = 0;
  const bool numbered = device.starts_with("cuda:");
  const char* first = device.data() + (numbered ? 5 : 4);
  const char* last = device.data() + device.size();
  if (device.starts_with("cuda")) {
    const auto [end, error] = std::from_chars(first, last, index);
    if (!numbered && first == last) return 0;
    if (numbered && error == std::errc() && end == last && index >= 0) return index;
  }
  throw Error(ErrorCode::kUsage,
              fmt::format("unknown device '{}'; choose auto, cpu, cuda or cuda:N", device));
}

std::string to_string(const BuildStatus& status) {
  std::string line = status.stage;
  if (status.batch > 0) line = fmt::format("batch {}: {}", status.batch, line);
  if (status.of > 0) line += fmt::format(" {} of {}", status.done, status.of);
  if (!status.what.empty()) line += fmt::format(", {}", status.what);
  if (status.tactics_timed > 0) line += fmt::format(", {} tactics timed", status.tactics_timed);
  return line;
}

std::unique_ptr<GpuEngine> make_gpu_engine(const std::string& path, int device,
                                           const EngineOptions& options) {
  std::optional<compiler::Plan> plan;
  if (compiler::is_plan_file(path)) plan = compiler::read_plan(path);
  try {
    gpu_identity(device);  // without one nothing else matters
  } catch (const Error& unusable) {
    throw Error(unusable.code(),
                fmt::format("{} cannot run '{}': {}", to_string(Device::cuda(device)), path,
                            unusable.what()));
  }
  if (!plan) plan = plan_for(path, device, options);
  return load_plan(std::move(*plan), path, device);
}

std::unique_ptr<Engine> make_engine(const std::string& path, const std::string& device,
                                    const EngineOptions& options) {
  if (device == "cpu") return make_cpu_engine(path, options);
  if (device == "auto") return make_best_engine(path, options);
  return make_gpu_engine(path, parse_cuda_device(device), options);
}

}  // namespace peregrine::engine
