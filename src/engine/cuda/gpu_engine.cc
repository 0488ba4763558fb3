// SPDX-License-Identifier: Apache-2.0
#include "engine/gpu_engine.h"

#include <fmt/format.h>

#include "compiler/plan_cache.h"
#include "compiler/plan_file.h"
#include "compiler/tactic_cache.h"
#include "core/cuda/memory.h"
#include "core/log.h"
#include "core/machine.h"
#include "engine/cuda/host_engine.h"
#include "engine/cuda/machine_identity.h"
#include "engine/cuda/plan_builder.h"
#include "peregrine/error.h"

namespace peregrine::engine {
namespace {

// The driver is asked first: its own words say more than the runtime's error number.
cuda::DeviceInfo usable_gpu(int device) {
  const GpuResources found = probe_gpus();
  if (found.gpus.empty()) {
    throw Error(ErrorCode::kGpu,
                fmt::format("no GPU: {}. 'peregrine doctor' tells what is missing; --device cpu "
                            "runs a model without one",
                            found.problem));
  }
  if (device < 0 || device >= std::ssize(found.gpus)) {
    throw Error(ErrorCode::kGpu, fmt::format("there is no cuda:{}; this machine has cuda:0 to "
                                             "cuda:{}",
                                             device, found.gpus.size() - 1));
  }
  return cuda::device_info(device);
}

const char* name_of(cuda::BuildProgress::Stage stage) {
  using Stage = cuda::BuildProgress::Stage;
  switch (stage) {
    case Stage::kRead: return "reading";
    case Stage::kPass: return "pass";
    case Stage::kLower: return "lowering";
    case Stage::kTune: return "tuning";
    case Stage::kMeasure: return "measuring";
  }
  return "";
}

cuda::Precision precision_of(const std::string& name) {
  if (name == "fp16") return cuda::Precision::kFloat16;
  if (name == "fp32") return cuda::Precision::kFloat32;
  throw Error(ErrorCode::kUsage, fmt::format("precision '{}' is not one of fp16, fp32", name));
}

cuda::BuildOptions options_of(const BuildRequest& request, compiler::TacticCache* tactics) {
  cuda::BuildOptions options;
  options.precision = precision_of(request.precision);
  options.batches = request.batches;
  options.workspace_bytes = request.workspace_bytes;
  options.time_budget_seconds = request.time_budget_seconds;
  options.height = request.height;
  options.width = request.width;
  options.half_pixels = request.half_pixels;
  options.device = request.device;
  options.tactics = tactics;
  if (request.progress) {
    options.progress = [&request](const cuda::BuildProgress& at) {
      request.progress({name_of(at.stage), at.batch, at.what, at.done, at.of, at.tactics_timed});
    };
  }
  return options;
}

}  // namespace

bool has_cuda_engine() { return true; }

GpuMemory gpu_memory(int device) {
  const cuda::MemoryStats stats = cuda::memory_stats(device);
  return {stats.in_use, stats.cached, stats.peak, stats.fragmentation, stats.device_allocations};
}

void limit_gpu_memory(int device, std::size_t bytes) { cuda::set_memory_limit(device, bytes); }

compiler::PlanIdentity gpu_identity(int device) {
  return cuda::machine_identity(usable_gpu(device));
}

BuildResult build_plan(const BuildRequest& request) {
  for (const int batch : request.batches) {
    if (batch < 1) throw Error(ErrorCode::kUsage, fmt::format("batch {} is below 1", batch));
  }
  precision_of(request.precision);
  const cuda::DeviceInfo device = usable_gpu(request.device);
  compiler::TacticCache tactics(request.tactic_cache ? compiler::tactic_cache_path() : "",
                                cuda::tactic_machine(device));
  cuda::BuildReport report;
  BuildResult result;
  result.plan = cuda::build_plan(request.model, options_of(request, &tactics), &report);
  try {
    tactics.save();
  } catch (const Error& unwritable) {
    logger("engine")->warn("measured tactics are not kept: {}", unwritable.what());
  }
  result.passes = std::move(report.passes);
  result.tactics_timed = report.tactics_timed;
  result.tactics_from_cache = report.tactics_from_cache;
  result.seconds = report.seconds;
  return result;
}

std::unique_ptr<GpuEngine> load_plan(compiler::Plan plan, const std::string& path, int device) {
  const std::string mismatch = compiler::plan_mismatch(plan.identity, gpu_identity(device));
  if (!mismatch.empty()) {
    throw Error(ErrorCode::kPlanMismatch,
                fmt::format("plan '{}' was {}. Rebuild it with: {}", path, mismatch,
                            compiler::rebuild_command(plan, path)));
  }
  return std::make_unique<cuda::HostEngine>(
      std::make_shared<const cuda::CudaEngine>(std::move(plan), device));
}

}  // namespace peregrine::engine
