// SPDX-License-Identifier: Apache-2.0
// peregrine eval: how good a result is, measured against a truth.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.h"
#include "eval/report.h"

namespace peregrine::cli {
namespace {

struct Options {
  std::string result, truth, json, plot;
  eval::EvalOptions eval;
};

int run(const Options& options) {
  const eval::Recording truth = eval::read_recording(options.truth);
  const eval::Recording result = eval::read_recording(options.result);
  const eval::Report report = eval::evaluate(result, truth, options.eval);
  if (!options.json.empty()) save(options.json, eval::to_json(report));
  if (!options.plot.empty()) save(options.plot, eval::to_svg(report));
  if (options.json != "-") print(eval::to_text(report));
  return 0;
}

}  // namespace

void add_eval(CLI::App& program, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand(
      "eval", "Compare a result with a truth: mAP, HOTA, MOTA, IDF1, rank-1");
  command->add_option("RESULT", options->result, "Output lines of a run (JSONL)")->required();
  command
      ->add_option("TRUTH", options->truth,
                   "What is true (JSONL, as `peregrine synth --truth` writes it)")
      ->required();
  command->add_option("--json", options->json, "The figures as JSON; - for stdout");
  command->add_option("--plot", options->plot, "Precision-recall and HOTA curves, SVG");
  command->add_option("--classes", options->eval.classes, "Only these class ids")->delimiter(',');
  command->add_flag("--partial", options->eval.partial, "Judge only frames that the result has");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace peregrine::cli
