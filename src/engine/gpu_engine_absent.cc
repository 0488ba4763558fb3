// SPDX-License-Identifier: Apache-2.0
// The GPU engine of a build without a CUDA toolkit: it says so.
#include <fmt/format.h>

#include "core/machine.h"
#include "core/transfer_audit.h"
#include "engine/gpu_engine.h"
#include "peregrine/error.h"

namespace peregrine::engine {
namespace {

[[noreturn]] void refuse() {
  const GpuResources found = probe_gpus();
  const std::string seen =
      found.gpus.empty() ? found.problem : fmt::format("the machine has a {}", found.gpus[0].name);
  throw Error(ErrorCode::kGpu,
              fmt::format("this build has no CUDA engine ({}). Use --device cpu, or build "
                          "Peregrine with the preset 'cuda' where a CUDA 13 toolkit is installed",
                          seen));
}

}  // namespace

bool has_cuda_engine() { return false; }

BuildResult build_plan(const BuildRequest&) { refuse(); }

std::unique_ptr<GpuEngine> load_plan(compiler::Plan, const std::string&, int) { refuse(); }

compiler::PlanIdentity gpu_identity(int) { refuse(); }

GpuMemory gpu_memory(int) { return {}; }
void limit_gpu_memory(int, std::size_t) {}

}  // namespace peregrine::engine

std::unique_ptr<peregrine::TransferAudit> peregrine::audit_transfers() { engine::refuse(); }
