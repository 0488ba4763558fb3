// SPDX-License-Identifier: Apache-2.0
// peregrine validate M.plan --against M.onnx: proves a plan against the FP32 reference on the CPU.
#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "cli/inspect_parts.h"
#include "cli/status_line.h"
#include "compiler/plan_file.h"
#include "core/log.h"
#include "engine/factory.h"
#include "engine/openvino/openvino_engine.h"
#include "eval/bisect.h"
#include "eval/validation.h"
#include "model/model_digest.h"
#include "peregrine/error.h"

namespace peregrine::cli {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kFailed = 4;  // a model that cannot be trusted is a model error

struct Options {
  std::string candidate, against, json;
  std::string device = "auto", precision = "auto";
  std::vector<std::string> pictures;
  int count = 64, image_size = 0;
  std::int64_t every = 1;
  std::uint64_t seed = 1;
  double tolerance = 0;  // 0: by precision
  bool bisect = false;
};

struct Candidate {
  std::unique_ptr<Engine> engine;
  const engine::GpuEngine* gpu = nullptr;  // the same, where it is on one
};

Candidate load(const Options& options, StatusLine& line) {
  engine::EngineOptions wanted;
  wanted.max_batch = 3;
  wanted.input_height = wanted.input_width = options.image_size;
  wanted.precision = options.precision;
  wanted.progress = [&line](const std::string& text) { line.show(text); };
  Candidate candidate{engine::make_engine(options.candidate, options.device, wanted), nullptr};
  candidate.gpu = dynamic_cast<const engine::GpuEngine*>(candidate.engine.get());
  line.clear();
  return candidate;
}

// The reference at the candidate's size. Few pictures at a time: each takes memory of its own.
std::unique_ptr<Engine> load_reference(const Options& options, const Engine& candidate) {
  const Shape& input = candidate.inputs().front().shape;
  engine::OpenVinoOptions wanted;
  wanted.max_batch = std::min(candidate.max_batch(), 4);
  if (input.size() == 4) {
    wanted.input_height = static_cast<int>(input[2]);
    wanted.input_width = static_cast<int>(input[3]);
  }
  return engine::make_openvino_engine(options.against, wanted);
}

// Attention and normalized rows together make a transformer (YOLO12 has only the one, OSNet only
// the other).
bool is_transformer(const compiler::Program& program) {
  bool attends = false, normalizes = false;
  for (const compiler::Step& step : program.steps) {
    attends |= step.kernel.starts_with("attention");
    normalizes |= step.kernel == "normalize";
  }
  return attends && normalizes;
}

// What rounding alone may do (see docs/plans.md).
double usual_tolerance(const engine::GpuEngine* gpu) {
  if (!gpu || gpu->plan().identity.precision == "fp32") return 1e-4;
  return is_transformer(gpu->plan().programs.front()) ? 2e-2 : 1e-2;
}

// Task of the model at the engine's shapes; none for models without a decoder.
TaskFinding task_of(const Options& options, const Engine& engine) {
  ModelInfo info = read_model_info(options.against);
  info.inputs = engine.inputs();
  info.outputs = engine.outputs();
  return find_task(info, options.image_size);
}

eval::ModelInputs make_inputs(const Options& options, const Engine& engine,
                              const TaskFinding& task) {
  if (options.pictures.empty()) {
    return eval::ModelInputs(engine.inputs(), options.seed, options.count);
  }
  if (!task.spec) {
    throw Error(
        ErrorCode::kTaskUnknown,
        fmt::format("how pictures become this model's input is not known: {}. Validate with "
                    "noise: leave --video and --images out",
                    task.problem));
  }
  return eval::ModelInputs(engine.inputs(), task.spec->input, options.pictures, options.count,
                           options.every);
}

std::string outputs_text(const eval::ValidationReport& report) {
  Table table(
      {"output", "relative L2", "limit", "correlation", "worst element", "is", "should be", ""});
  for (const eval::OutputDifference& each : report.outputs) {
    table.add({one_line(each.name(), 40), fmt::format("{:.3g}", each.relative_l2()),
               fmt::format("{:.0e}", report.tolerance), fmt::format("{:.7f}", each.correlation()),
               to_string(each.worst().index), fmt::format("{:.6g}", each.worst().actual),
               fmt::format("{:.6g}", each.worst().expected),
               each.relative_l2() <= report.tolerance ? "ok" : "TOO FAR"});
  }
  return table.text();
}

std::string measures_text(const eval::ValidationReport& report) {
  if (report.measures.empty()) return "";
  Table table({"of the task", "measured", "limit", "", ""});
  for (const auto& each : report.measures) {
    table.add({each.name, fmt::format("{:.5f}", each.value), fmt::format("{:g}", each.limit),
               each.good ? "ok" : "TOO FAR", each.detail});
  }
  return fmt::format("\n{}", table.text());
}

std::string bisection_text(const eval::Bisection& found, double tolerance) {
  const auto place = [](const eval::Checkpoint& at) {
    return fmt::format("node '{}' ({}), value '{}': relative L2 {:.3g}; made by {}{}{} for {}\n",
                       at.node, at.op, at.value, at.error, at.kernel, at.tactic.empty() ? "" : " ",
                       at.tactic, fmt::join(at.origins, ", "));
  };
  std::string text = fmt::format("\n{} values compared one by one\n", found.compared);
  if (found.compared == 0) return text;
  text += found.first
              ? "first past the tolerance: " + place(*found.first)
              : fmt::format("none is past {:.0e}; furthest off: {}", tolerance, place(found.worst));
  if (found.first) text += "furthest off: " + place(found.worst);
  return text;
}

Json checkpoint_json(const eval::Checkpoint& at) {
  return {{"node", at.node},         {"op", at.op},         {"value", at.value},
          {"relative_l2", at.error}, {"kernel", at.kernel}, {"tactic", at.tactic},
          {"origins", at.origins}};
}

std::string as_json(const Options& options, const Engine& engine,
                    const eval::ValidationReport& report,
                    const std::optional<eval::Bisection>& bisection) {
  Json outputs = Json::array(), measures = Json::array();
  for (const eval::OutputDifference& each : report.outputs) {
    outputs.push_back({{"name", each.name()},
                       {"relative_l2", each.relative_l2()},
                       {"correlation", each.correlation()},
                       {"worst",
                        {{"index", each.worst().index},
                         {"actual", each.worst().actual},
                         {"expected", each.worst().expected}}}});
  }
  for (const auto& each : report.measures) {
    measures.push_back({{"name", each.name},
                        {"value", each.value},
                        {"limit", each.limit},
                        {"good", each.good},
                        {"detail", each.detail}});
  }
  Json json = {{"schema", 1},
               {"candidate", options.candidate},
               {"against", options.against},
               {"engine", engine.description()},
               {"good", report.good()},
               {"pictures", report.pictures},
               {"tolerance", report.tolerance},
               {"outputs", outputs},
               {"measures", measures}};
  if (bisection) {
    json["bisection"] = {{"compared", bisection->compared},
                         {"worst", checkpoint_json(bisection->worst)}};
    if (bisection->first) json["bisection"]["first"] = checkpoint_json(*bisection->first);
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void note_other_model(const Options& options, const engine::GpuEngine* gpu) {
  if (!gpu || gpu->plan().identity.model_sha256 == model::model_digest(options.against)) return;
  fmt::print(stderr, "note: '{}' was built from another file than '{}'\n", options.candidate,
             options.against);
}

eval::Bisection run_bisection(const Options& options, const engine::GpuEngine* gpu,
                              const TaskFinding& task, double tolerance, StatusLine& line) {
  if (!gpu) {
    throw Error(ErrorCode::kUsage,
                "--bisect walks through a plan's steps; it needs a model on a "
                "GPU (a plan, or --device cuda)");
  }
  eval::ModelInputs inputs = make_inputs(options, *gpu, task);
  const int batch = static_cast<int>(gpu->plan().programs.front().batch);
  if (inputs.next(batch) != batch) {
    throw Error(ErrorCode::kUsage,
                fmt::format("--bisect needs {} pictures, the plan's smallest batch", batch));
  }
  auto found = eval::bisect(*gpu, options.against, inputs.views(), tolerance,
                            [&line](const std::string& node) { line.show("at " + node); });
  line.clear();
  return found;
}

int run(const Options& options) {
  set_log_level(spdlog::level::warn);
  StatusLine line;
  const Candidate candidate = load(options, line);
  const Engine& engine = *candidate.engine;
  note_other_model(options, candidate.gpu);
  line.show("loading the reference");
  const auto reference = load_reference(options, engine);
  const TaskFinding task = task_of(options, engine);
  const double tolerance =
      options.tolerance > 0 ? options.tolerance : usual_tolerance(candidate.gpu);
  eval::ModelInputs inputs = make_inputs(options, engine, task);
  const eval::ValidationReport report =
      eval::validate(engine, *reference, inputs, task.spec, tolerance,
                     [&line](int done) { line.show(fmt::format("{} pictures compared", done)); });
  line.clear();
  if (report.pictures == 0)
    throw Error(ErrorCode::kInputNotFound, "there was no picture to compare");
  std::optional<eval::Bisection> bisection;
  if (options.bisect) {
    bisection = run_bisection(options, candidate.gpu, task, tolerance, line);
  }
  if (!options.json.empty()) save(options.json, as_json(options, engine, report, bisection));
  if (options.json != "-") {
    print(fmt::format(
        "{} on {}\nagainst {} on {}, {} {}\n\n{}{}{}\n{}\n", options.candidate,
        engine.description(), options.against, reference->description(), report.pictures,
        options.pictures.empty() ? fmt::format("inputs of noise (seed {})", options.seed)
                                 : std::string("pictures"),
        outputs_text(report), measures_text(report),
        bisection ? bisection_text(*bisection, tolerance) : "",
        report.good()    ? "Within the limits."
        : options.bisect ? "NOT within the limits."
                         : "NOT within the limits; --bisect names the first node that "
                           "leaves them."));
  }
  return report.good() ? 0 : kFailed;
}

}  // namespace

void add_validate(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "validate", "Prove a plan against the FP32 model that it was made from");
  const auto options = std::make_shared<Options>();
  command->add_option("MODEL", options->candidate, "Plan, or ONNX file")->required();
  command->add_option("--against", options->against, "ONNX file: the reference, run on the CPU")
      ->required();
  command->add_option("--video,--images", options->pictures,
                      "Pictures to compare on: a video, folder, glob; without it, seeded noise");
  command->add_option("--count", options->count, "Pictures to compare, at most")
      ->check(CLI::Range(1, 1000000));
  command->add_option("--every", options->every, "Take each Nth picture")
      ->check(CLI::Range(1, 1000000));
  command->add_option("--seed", options->seed, "Of the noise");
  command
      ->add_option("--tolerance", options->tolerance,
                   "Relative L2 allowed; without it 1e-4 for fp32, 1e-2 for fp16, 2e-2 for fp16 "
                   "transformers")
      ->check(CLI::PositiveNumber);
  command->add_option("--device", options->device, "Where MODEL runs: auto, cpu, cuda or cuda:N");
  command->add_option("--precision", options->precision, "Of an ONNX file on a GPU: fp16 or fp32")
      ->check(CLI::IsMember({"auto", "fp16", "fp32"}));
  command
      ->add_option("--imgsz", options->image_size,
                   "Side of the input, where the model leaves it open")
      ->check(CLI::Range(1, 8192));
  command->add_flag("--bisect", options->bisect,
                    "Name the first node whose output leaves the tolerance (slow)");
  command->add_option("--json", options->json, "The figures as JSON; - for stdout");
  command->callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace peregrine::cli
