// SPDX-License-Identifier: Apache-2.0
#include "core/profiles.h"

#include <algorithm>

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine {
namespace {

// A decoded 4K frame takes 12 MB, an 8K frame 50 MB (YUV 4:2:0): queues shrink as pictures grow.
constexpr ProfileValue kCpuSmall[] = {
    {"inference.device", "cpu"},
    {"inference.precision", "fp32"},
    {"inference.batch", "1"},
    {"input.queue_depth", "2"},
    {"input.max_open_files", "2"},
    {"input.decoder_threads", "1"},
    {"embeddings.batch", "8"},
    {"resolution.4k.input.max_open_files", "1"},
    {"resolution.8k.input.queue_depth", "1"},
    {"resolution.8k.input.max_open_files", "1"},
};
constexpr ProfileValue kCpu[] = {
    {"inference.device", "cpu"},
    {"inference.precision", "fp32"},
    {"inference.batch", "1"},
    {"input.queue_depth", "4"},
    {"resolution.4k.input.max_open_files", "4"},
    {"resolution.8k.input.queue_depth", "2"},
    {"resolution.8k.input.max_open_files", "2"},
};
constexpr ProfileValue kCuda[] = {
    {"inference.device", "cuda"},
    {"inference.precision", "fp16"},
    {"input.queue_depth", "8"},
    {"input.max_open_files", "32"},
    {"embeddings.batch", "64"},
    {"resolution.4k.input.queue_depth", "4"},
    {"resolution.8k.input.queue_depth", "2"},
    {"resolution.8k.inference.batch", "2"},
};
// One of everything: the order of events is the same each time, and every step is logged.
constexpr ProfileValue kDebug[] = {
    {"inference.device", "cpu"},    {"inference.precision", "fp32"}, {"inference.batch", "1"},
    {"inference.threads", "1"},     {"input.queue_depth", "1"},      {"input.max_open_files", "1"},
    {"input.decoder_threads", "1"}, {"log.level", "debug"},
};

constexpr Profile kProfiles[] = {
    {"cpu-small", "a processor with up to 2 cores, or little memory", kCpuSmall},
    {"cpu", "a processor with more cores", kCpu},
    {"cuda", "an NVIDIA GPU", kCuda},
    {"debug", "finding out what happens: one thread of each kind, everything logged", kDebug},
};

constexpr std::int64_t kGib = std::int64_t{1} << 30;
constexpr std::int64_t kLeastGpuMemory = 4 * kGib;  // model, arena and decoder surfaces
constexpr std::int64_t kLittleHostMemory = 4 * kGib;
constexpr int kFewCores = 2;

}  // namespace

std::span<const Profile> profiles() { return kProfiles; }

const Profile& find_profile(const std::string& name) {
  const auto found = std::find_if(std::begin(kProfiles), std::end(kProfiles),
                                  [&](const Profile& profile) { return name == profile.name; });
  if (found == std::end(kProfiles)) {
    throw Error(ErrorCode::kInternal, fmt::format("there is no profile '{}'", name));
  }
  return *found;
}

ProfileChoice choose_profile(const Machine& machine, bool cuda_engine) {
  const HostResources& host = machine.host;
  std::string gpu_text;
  if (machine.gpu.gpus.empty()) {
    gpu_text = fmt::format("no GPU ({})", machine.gpu.problem);
  } else {
    const GpuInfo& gpu = machine.gpu.gpus[0];
    gpu_text = fmt::format("{} with {}", gpu.name, format_bytes(gpu.memory_bytes));
    if (cuda_engine && gpu.memory_bytes >= kLeastGpuMemory) return {"cuda", gpu_text};
    gpu_text += cuda_engine ? " (too little memory)" : ", which this build has no engine for";
  }
  const bool small = host.cores <= kFewCores || host.memory_bytes < kLittleHostMemory;
  return {small ? "cpu-small" : "cpu",
          fmt::format("{} core{}, {} of memory, {}", host.cores, host.cores == 1 ? "" : "s",
                      format_bytes(host.memory_bytes), gpu_text)};
}

}  // namespace peregrine
