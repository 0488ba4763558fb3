// SPDX-License-Identifier: Apache-2.0
// peregrine synth: a clip of the synthetic street, and what is true of it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <memory>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "eval/truth_files.h"
#include "output/output_file.h"
#include "peregrine/error.h"
#include "video/encoder.h"
#include "video/synth/synth.h"

namespace peregrine::cli {
namespace {

struct Options {
  std::string seed = "1", size = "1280x720", fps = "30", seconds = "20", time = "any", crowd = "1";
  std::string video, truth, mot, coco;
  bool no_masks = false;
};

std::vector<std::unique_ptr<eval::TruthFile>> open_truth(const Options& options) {
  std::vector<std::unique_ptr<eval::TruthFile>> files;
  const std::string source = options.video.empty() ? "synth:seed=" + options.seed : options.video;
  if (!options.truth.empty()) files.push_back(eval::make_truth_jsonl(options.truth, source));
  if (!options.mot.empty()) files.push_back(eval::make_truth_mot(options.mot));
  if (!options.coco.empty()) files.push_back(eval::make_truth_coco(options.coco));
  return files;
}

std::unique_ptr<video::VideoEncoder> open_video(const std::string& path,
                                                const synth::SynthOptions& world) {
  if (path.empty()) return nullptr;
  video::EncoderOptions encoder;
  encoder.width = world.width;
  encoder.height = world.height;
  encoder.frame_rate = world.frame_rate;
  encoder.time_base = {world.frame_rate.den, world.frame_rate.num};
  return std::make_unique<video::VideoEncoder>(output::partial_path(path), encoder);
}

int run(const Options& options) {
  if (options.video.empty() && options.truth.empty() && options.mot.empty() &&
      options.coco.empty()) {
    throw Error(ErrorCode::kUsage,
                "synth: nothing to write; name a video with -o, or --truth, --mot or --coco");
  }
  const synth::SynthOptions wanted = synth::parse_synth_options(
      fmt::format("seed={},size={},fps={},seconds={},time={},crowd={}", options.seed, options.size,
                  options.fps, options.seconds, options.time, options.crowd));
  std::atomic<bool> stop = false;
  InterruptGuard guard([&] { stop = true; });
  synth::SynthWorld world(wanted);
  const auto encoder = open_video(options.video, wanted);
  const auto files = open_truth(options);
  synth::SynthTruth truth;
  const synth::TruthParts parts{.masks = !options.no_masks};
  std::int64_t index = 0;
  for (; index < wanted.frame_count() && !stop; ++index) {
    const Frame frame =
        world.render(index, PixelFormat::kYuv420p, files.empty() ? nullptr : &truth, parts);
    if (encoder) encoder->write(frame);
    for (const auto& file : files) file->write(truth);
  }
  if (encoder) {
    encoder->finish();
    output::rename_into_place(output::partial_path(options.video), options.video);
  }
  for (const auto& file : files) file->finish();
  if (stop)
    throw Error(ErrorCode::kInterrupted,
                fmt::format("synth: stopped after {} frames; the files hold those", index));
  fmt::print(stderr, "{} frames of {}x{}\n", index, wanted.width, wanted.height);
  return 0;
}

}  // namespace

void add_synth(CLI::App& program, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      program.add_subcommand("synth", "Draw a clip of a synthetic street, with its truth");
  command->add_option("--seed", options->seed, "Which street")->capture_default_str();
  command->add_option("--size", options->size, "WIDTHxHEIGHT, 64 to 8192 a side")
      ->capture_default_str();
  command->add_option("--fps", options->fps, "1 to 240, or a ratio such as 30000/1001")
      ->capture_default_str();
  command->add_option("--seconds", options->seconds, "Length")->capture_default_str();
  command->add_option("--time", options->time, "any (the seed decides), day, dusk or night")
      ->capture_default_str();
  command->add_option("--crowd", options->crowd, "Factor on how many come along, 0 to 4")
      ->capture_default_str();
  command->add_option("-o,--output", options->video, "The clip, MP4");
  command->add_option("--truth", options->truth, "What is true, as output lines (JSONL)");
  command->add_option("--mot", options->mot, "What is true, as MOT's gt.txt");
  command->add_option("--coco", options->coco, "What is true, as COCO annotations");
  command->add_flag("--no-masks", options->no_masks, "Leave masks out of the truth");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace peregrine::cli
