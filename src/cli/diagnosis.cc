// SPDX-License-Identifier: Apache-2.0
#include "cli/diagnosis.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/settings.h"
#include "engine/factory.h"
#include "engine/openvino/openvino_engine.h"
#include "peregrine/error.h"
#include "video/capabilities.h"

namespace peregrine::cli {
namespace {

namespace fs = std::filesystem;
using Status = Finding::Status;

constexpr const char* kInstall = "script/bootstrap installs everything Peregrine needs";

Finding processor(const HostResources& host) {
  Finding finding{Status::kGood, "processor",
                  fmt::format("{}, {} of {} cores, {} ({})", host.cpu_model, host.cores,
                              host.machine_cores, host.architecture, fmt::join(host.simd, " ")),
                  ""};
  if (host.quota_cores > 0) {
    finding.value += fmt::format("; the container's quota is {:.2g} cores", host.quota_cores);
  }
  const bool slow = host.architecture == "x86_64" &&
                    std::find(host.simd.begin(), host.simd.end(), "avx2") == host.simd.end();
  if (slow) {
    finding.status = Status::kNote;
    finding.fix =
        "without AVX2 inference is several times slower; a virtual machine may hide it: "
        "choose the host's own CPU model in its settings";
  }
  return finding;
}

Finding memory(const HostResources& host) {
  constexpr std::int64_t kLittle = std::int64_t{1} << 30;
  const std::string value = fmt::format("{}, {} of it free", format_bytes(host.memory_bytes),
                                        format_bytes(host.memory_available_bytes));
  if (host.memory_available_bytes >= kLittle) return {Status::kGood, "memory", value, ""};
  return {Status::kNote, "memory", value,
          "less than 1 GiB is free: end other programs or raise the container's limit"};
}

Finding openvino() {
  try {
    const std::vector<std::string> devices = engine::openvino_devices();
    const std::string value =
        fmt::format("{}, devices: {}", engine::openvino_version(), fmt::join(devices, ", "));
    if (std::find(devices.begin(), devices.end(), "CPU") != devices.end()) {
      return {Status::kGood, "OpenVINO", value, ""};
    }
    return {Status::kProblem, "OpenVINO", value + " (its CPU plugin is missing)", kInstall};
  } catch (const Error& error) {
    return {Status::kProblem, "OpenVINO", error.what(), kInstall};
  }
}

void video(std::vector<Finding>& findings) {
  const video::VideoCapabilities libav = video::video_capabilities();
  std::vector<std::string> present, absent;
  for (const video::DecoderSupport& decoder : libav.decoders) {
    (decoder.available ? present : absent).push_back(decoder.name);
  }
  Finding decoders{Status::kGood, "decoders", fmt::format("{}", fmt::join(present, ", ")), ""};
  if (!absent.empty()) {
    decoders.status = present.empty() ? Status::kProblem : Status::kNote;
    decoders.value +=
        fmt::format("{}missing: {}", present.empty() ? "" : "; ", fmt::join(absent, ", "));
    decoders.fix = "apt-get install libavcodec-extra";
  }
  findings.push_back({Status::kGood, "libav", libav.libav_version, ""});
  findings.push_back(std::move(decoders));
  if (libav.encoder.empty()) {
    findings.push_back({Status::kNote, "encoder", "none: --annotate cannot write video",
                        "apt-get install libavcodec-extra"});
  } else {
    findings.push_back({Status::kGood, "encoder", libav.encoder, ""});
  }
  if (!libav.has_rtsp) {
    findings.push_back({Status::kNote, "RTSP", "libav was built without it",
                        "apt-get install libavformat-dev, and build Peregrine again"});
  }
}

// An NVIDIA display controller on the PCI bus, whatever drivers there are.
bool has_nvidia_hardware() {
  std::error_code error;
  for (const auto& device : fs::directory_iterator("/sys/bus/pci/devices", error)) {
    std::string vendor, kind;
    std::ifstream(device.path() / "vendor") >> vendor;
    std::ifstream(device.path() / "class") >> kind;
    if (vendor == "0x10de" && kind.starts_with("0x03")) return true;
  }
  return false;
}

Finding library(const char* what, const LibraryProbe& probe, const std::string& version,
                const char* fix) {
  if (probe.found) return {Status::kGood, what, version, ""};
  return {Status::kNote, what, probe.problem, fix};
}

void gpu(const GpuResources& gpu, std::vector<Finding>& findings) {
  if (gpu.gpus.empty()) {
    const bool hardware = has_nvidia_hardware();
    // Where there is no such hardware nothing is wrong.
    findings.push_back({hardware ? Status::kNote : Status::kGood, "GPU", "none: " + gpu.problem,
                        hardware ? "an NVIDIA GPU is built in, but cannot be used: apt-get install "
                                   "nvidia-driver, and restart; in a container, start it with "
                                   "--gpus all"
                                 : ""});
    return;
  }
  for (const GpuInfo& each : gpu.gpus) {
    findings.push_back(
        {Status::kGood, fmt::format("GPU {}", each.index),
         fmt::format("{}, {}, compute capability {}.{}", each.name, format_bytes(each.memory_bytes),
                     each.compute_major, each.compute_minor),
         ""});
  }
  findings.push_back(
      {Status::kGood, "driver",
       fmt::format("{}, runs CUDA up to {}.{}",
                   gpu.driver_version.empty() ? "version unknown" : gpu.driver_version,
                   gpu.cuda_version / 1000, gpu.cuda_version % 1000 / 10),
       ""});
  if (!engine::has_cuda_engine()) {
    findings.push_back({Status::kNote, "CUDA engine", "this build has none",
                        "install a CUDA 13 toolkit and build again: cmake --preset cuda && cmake "
                        "--build --preset cuda"});
  }
  const LibraryProbe cudnn = probe_library("libcudnn.so.9", "cudnnGetVersion");
  findings.push_back({Status::kGood, "cuDNN",
                      cudnn.found ? fmt::format("{}.{}.{}, not used", cudnn.version / 10000,
                                                cudnn.version % 10000 / 100, cudnn.version % 100)
                                  : "none, and not needed",
                      ""});
  findings.push_back(library("NVDEC", probe_library("libnvcuvid.so.1"), "libnvcuvid found",
                             "the driver's video library is missing: apt-get install "
                             "libnvcuvid1; in a container, set "
                             "NVIDIA_DRIVER_CAPABILITIES=compute,video,utility"));
  findings.push_back(library("NVENC", probe_library("libnvidia-encode.so.1"),
                             "libnvidia-encode found; a chip without an encoder leaves it to the "
                             "CPU",
                             "annotated video is encoded on the CPU: apt-get install "
                             "libnvidia-encode1; in a container, set "
                             "NVIDIA_DRIVER_CAPABILITIES=compute,video,utility"));
}

// Tries, since permissions do not tell of read-only or virtual file systems. Leaves nothing behind.
bool can_make_files(const fs::path& folder) {
  std::string name = (folder / ".peregrine-XXXXXX").string();
  const int file = mkstemp(name.data());
  if (file < 0) return false;
  unlink(name.c_str());
  close(file);
  return true;
}

// Whether files can be made in `folder`, or, where it does not exist, in what it would stand in.
Finding writable(const char* what, fs::path folder) {
  std::error_code error;
  const std::string shown = folder.string();
  while (!fs::exists(folder, error) && folder.has_relative_path()) folder = folder.parent_path();
  if (can_make_files(folder)) return {Status::kGood, what, shown + " is writable", ""};
  return {Status::kNote, what, shown + " is not writable",
          fmt::format("sudo chown \"$USER\" '{}'", folder.string())};
}

Finding cache_folder() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (xdg && *xdg) return writable("cache folder", fs::path(xdg) / "peregrine");
  if (home && *home) return writable("cache folder", fs::path(home) / ".cache/peregrine");
  return {Status::kNote, "cache folder", "neither XDG_CACHE_HOME nor HOME is set",
          "export XDG_CACHE_HOME=/some/folder"};
}

Finding configuration(const Machine& machine) {
  try {
    SettingsInputs inputs = process_inputs();
    inputs.machine = machine;
    inputs.cuda_engine = engine::has_cuda_engine();
    const Settings settings = resolve(inputs);
    return {Status::kGood, "configuration",
            fmt::format("{}, profile {} ({})", settings.file.empty() ? "no file" : settings.file,
                        settings.profile_used, settings.profile_reason),
            ""};
  } catch (const Error& error) {
    return {Status::kProblem, "configuration", error.what(),
            "correct that value; 'peregrine config keys' lists what is valid"};
  }
}

}  // namespace

bool Diagnosis::usable() const {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.status == Status::kProblem; });
}

Diagnosis diagnose() {
  Diagnosis diagnosis;
  diagnosis.machine = probe_machine();
  std::vector<Finding>& findings = diagnosis.findings;
  findings.push_back(processor(diagnosis.machine.host));
  findings.push_back(memory(diagnosis.machine.host));
  findings.push_back(openvino());
  video(findings);
  gpu(diagnosis.machine.gpu, findings);
  std::error_code error;
  findings.push_back(writable("folder", fs::current_path(error)));
  findings.push_back(cache_folder());
  findings.push_back(configuration(diagnosis.machine));
  return diagnosis;
}

}  // namespace peregrine::cli
