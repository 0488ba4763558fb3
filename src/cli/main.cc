// SPDX-License-Identifier: Apache-2.0
// The program: stdout is data, stderr is logs, progress and errors.
#include <cstdio>
#include <exception>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/cli.h"
#include "peregrine/error.h"
#include "peregrine/version.h"

namespace {

int report(const std::string& message, int status) {
  fmt::print(stderr, "peregrine: error: {}\n", message);
  return status;
}

int run_program(int argc, char** argv) {
  CLI::App program("Runs vision models on video", "peregrine");
  program.set_version_flag("--version", fmt::format("peregrine {}", peregrine::version()));
  program.require_subcommand(1);
  peregrine::cli::Action action;
  peregrine::cli::add_run(program, action);
  peregrine::cli::add_build(program, action);
  peregrine::cli::add_validate(program, action);
  peregrine::cli::add_bench(program, action);
  peregrine::cli::add_inspect(program, action);
  peregrine::cli::add_synth(program, action);
  peregrine::cli::add_eval(program, action);
  peregrine::cli::add_doctor(program, action);
  peregrine::cli::add_config(program, action);
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help, --version
    return report(fmt::format("{} ('peregrine --help' explains)", error.what()),
                  peregrine::exit_code(peregrine::ErrorCode::kUsage));
  }
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run_program(argc, argv);
  } catch (const peregrine::Error& error) {
    return report(error.what(), peregrine::exit_code(error.code()));
  } catch (const std::exception& error) {
    return report(error.what(), 1);
  }
}
