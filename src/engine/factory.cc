// SPDX-License-Identifier: Apache-2.0
#include "engine/factory.h"

#include <charconv>

#include <fmt/format.h>

#include "core/machine.h"
#include "engine/openvino/openvino_engine.h"
#include "peregrine/error.h"

namespace peregrine::engine {
namespace {

std::unique_ptr<Engine> make_cpu_engine(const std::string& path, const EngineOptions& options) {
  return make_openvino_engine(path, {.threads = options.threads,
                                     .max_batch = options.max_batch,
                                     .input_height = options.input_height,
                                     .input_width = options.input_width,
                                     .latency = options.latency});
}

// "cuda" is the first GPU, "cuda:N" the one of that number.
Device parse_cuda(const std::string& device) {
  int index = 0;
  const bool numbered = device.starts_with("cuda:");
  const char* first = device.data() + (numbered ? 5 : 4);
  const char* last = device.data() + device.size();
  const auto [end, error] = std::from_chars(first, last, index);
  const bool well_formed =
      numbered ? (error == std::errc() && end == last && index >= 0) : first == last;
  if (!device.starts_with("cuda") || !well_formed) {
    throw Error(ErrorCode::kUsage,
                fmt::format("unknown device '{}'; choose auto, cpu, cuda or cuda:N", device));
  }
  return Device::cuda(index);
}

}  // namespace

bool has_cuda_engine() { return false; }

std::unique_ptr<Engine> make_engine(const std::string& path, const std::string& device,
                                    const EngineOptions& options) {
  if (device == "cpu" || device == "auto") return make_cpu_engine(path, options);
  const Device gpu = parse_cuda(device);
  const GpuResources found = probe_gpus();
  const std::string seen =
      found.gpus.empty() ? found.problem : fmt::format("the machine has a {}", found.gpus[0].name);
  throw Error(ErrorCode::kGpu,
              fmt::format("{} cannot run '{}': this build has no CUDA engine ({}). Use --device "
                          "cpu, or build Peregrine with the preset 'cuda' where a CUDA 13 toolkit "
                          "is installed",
                          to_string(gpu), path, seen));
}

}  // namespace peregrine::engine
