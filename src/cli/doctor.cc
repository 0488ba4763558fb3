// SPDX-License-Identifier: Apache-2.0
// peregrine doctor: what this machine can do, and what to do about the rest.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "cli/diagnosis.h"
#include "peregrine/version.h"

namespace peregrine::cli {
namespace {

using Json = nlohmann::ordered_json;
using Status = Finding::Status;

const char* to_string(Status status) {
  switch (status) {
    case Status::kGood: return "ok";
    case Status::kNote: return "note";
    case Status::kProblem: return "problem";
  }
  return "?";
}

std::string as_json(const Diagnosis& diagnosis) {
  const HostResources& host = diagnosis.machine.host;
  Json gpus = Json::array();
  for (const GpuInfo& gpu : diagnosis.machine.gpu.gpus) {
    gpus.push_back(
        {{"index", gpu.index},
         {"name", gpu.name},
         {"memory_bytes", gpu.memory_bytes},
         {"compute_capability", fmt::format("{}.{}", gpu.compute_major, gpu.compute_minor)}});
  }
  Json findings = Json::array();
  for (const Finding& finding : diagnosis.findings) {
    Json json = {
        {"name", finding.name}, {"status", to_string(finding.status)}, {"value", finding.value}};
    if (!finding.fix.empty()) json["fix"] = finding.fix;
    findings.push_back(std::move(json));
  }
  const Json json = {{"schema", 1},
                     {"version", version()},
                     {"usable", diagnosis.usable()},
                     {"machine",
                      {{"cpu", host.cpu_model},
                       {"architecture", host.architecture},
                       {"simd", host.simd},
                       {"cores", host.cores},
                       {"machine_cores", host.machine_cores},
                       {"memory_bytes", host.memory_bytes},
                       {"memory_available_bytes", host.memory_available_bytes},
                       {"gpus", gpus}}},
                     {"findings", findings}};
  return json.dump(2) + "\n";
}

std::string as_text(const Diagnosis& diagnosis) {
  Table found, fixes;
  for (const Finding& finding : diagnosis.findings) {
    found.add({to_string(finding.status), finding.name, finding.value});
    if (!finding.fix.empty()) fixes.add({finding.name + ":", finding.fix});
  }
  std::string out = fmt::format("peregrine {}\n\n{}", version(), found.text());
  if (!fixes.empty()) out += "\nWhat to do:\n" + fixes.text(2);
  return out + (diagnosis.usable() ? "\nReady to run on the CPU.\n"
                                   : "\nNot ready: see the problems above.\n");
}

}  // namespace

void add_doctor(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("doctor", "What this machine can do, and how to mend the rest");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  command->callback([&action, json] {
    action = [json] {
      const Diagnosis diagnosis = diagnose();
      print(*json ? as_json(diagnosis) : as_text(diagnosis));
      return diagnosis.usable() ? 0 : 1;
    };
  });
}

}  // namespace peregrine::cli
