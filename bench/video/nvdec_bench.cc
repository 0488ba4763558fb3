// SPDX-License-Identifier: Apache-2.0
// What NVDEC alone can do: N streams decoded through libav in one process, frames dropped as they
// come. It is the ceiling that a pipeline is measured against. Each clip's answer is checked before
// it is timed; exit code 1 when one is wrong or does not decode, 5 without a GPU.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/machine.h"
#include "decode_check.h"
#include "decode_race.h"
#include "forked.h"
#include "peregrine/error.h"

namespace peregrine::bench {
namespace {

constexpr char kUsage[] =
    "usage: bench_video_nvdec CLIP... [options]\n"
    "  --streams 1,8,32       decoders, a thread each (1,8)\n"
    "  --processes 1,8        the streams are dealt out among as many processes (1)\n"
    "  --extra-frames 0,8     surfaces beyond those the codec needs (0)\n"
    "  --hold N               frames that a stream keeps (0)\n"
    "  --cuda-stream shared,own      post-process on the default stream, or on one a decoder "
    "(shared)\n"
    "  --context libav,runtime       who makes the primary context (libav)\n"
    "  --seconds X            of each measurement (3); 0 only checks\n"
    "  --unchecked            skip the check: for clips checked in a run before\n"
    "  --json FILE            append a line a row\n";

struct Arguments {
  std::vector<std::string> clips;
  std::vector<int> streams{1, 8}, processes{1}, extra_frames{0};
  std::vector<bool> own_streams{false}, runtime_context{false};
  int held = 0;
  double seconds = 3;
  bool check = true;
  std::string json;
};

[[noreturn]] void refuse(const std::string& what) {
  std::cerr << "bench_video_nvdec: " << what << '\n' << kUsage;
  std::exit(2);
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream stream(list);
  for (std::string each; std::getline(stream, each, ',');) parts.push_back(each);
  return parts;
}

int number(const std::string& text, int lowest) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value < lowest || value > 1024) {
    refuse("'" + text + "' is no number from " + std::to_string(lowest) + " to 1024");
  }
  return static_cast<int>(value);
}

double seconds(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0)) refuse("'" + text + "' is no time in seconds");
  return value;
}

std::vector<int> numbers(const std::string& list, int lowest) {
  std::vector<int> values;
  for (const std::string& each : split(list)) values.push_back(number(each, lowest));
  return values;
}

std::vector<bool> choices(const std::string& list, const char* no, const char* yes) {
  std::vector<bool> values;
  for (const std::string& each : split(list)) {
    if (each != no && each != yes) refuse("'" + each + "' is neither " + no + " nor " + yes);
    values.push_back(each == yes);
  }
  return values;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&] {
      if (i + 1 >= argc) refuse(name + " needs a value");
      return std::string(argv[++i]);
    };
    if (name == "--streams") {
      arguments.streams = numbers(value(), 1);
    } else if (name == "--processes") {
      arguments.processes = numbers(value(), 1);
    } else if (name == "--extra-frames") {
      arguments.extra_frames = numbers(value(), 0);
    } else if (name == "--hold") {
      arguments.held = number(value(), 0);
    } else if (name == "--cuda-stream") {
      arguments.own_streams = choices(value(), "shared", "own");
    } else if (name == "--context") {
      arguments.runtime_context = choices(value(), "libav", "runtime");
    } else if (name == "--seconds") {
      arguments.seconds = seconds(value());
    } else if (name == "--unchecked") {
      arguments.check = false;
    } else if (name == "--json") {
      arguments.json = value();
    } else if (name.rfind("--", 0) == 0) {
      refuse("unknown option " + name);
    } else {
      arguments.clips.push_back(name);
    }
  }
  if (arguments.clips.empty()) refuse("no clip");
  return arguments;
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Checked in a process of its own: this one must stay free of CUDA to fork again.
bool check(const std::string& clip) {
  Forked process([&](Lines& parent) {
    const CheckedClip checked = check_clip(clip);
    parent.write(fmt::format("{} {} {}x{}, {}", checked.right ? "right" : "WRONG", checked.codec,
                             checked.width, checked.height, checked.words));
  });
  const std::string line = process.lines().read();
  const std::string error = error_in(line);
  std::printf("check  %-22s %s\n", base_name(clip).c_str(),
              error.empty() ? line.c_str() : ("failed: " + error).c_str());
  std::fflush(stdout);
  return error.empty() && line.rfind("right", 0) == 0;
}

class Table {
 public:
  Table(const Arguments& arguments, std::string machine)
      : json_(arguments.json), machine_(std::move(machine)) {}

  void add(const Race& race, const RaceResult& result) {
    if (!heading_) {
      std::printf("%-22s %7s %5s %5s %4s %-6s %-7s %9s %9s %9s %6s %8s\n", "clip", "streams",
                  "procs", "extra", "hold", "stream", "context", "frames/s", "lowest", "each",
                  "cores", "MiB");
    }
    heading_ = true;
    const char* stream = race.sharing.own_streams ? "own" : "shared";
    const char* context = race.sharing.runtime_context ? "runtime" : "libav";
    const std::string clip = base_name(race.clip);
    std::printf("%-22s %7d %5d %5d %4d %-6s %-7s ", clip.c_str(), race.streams, race.processes,
                race.extra_frames, race.held, stream, context);
    if (!result.error.empty()) {
      std::printf("failed: %s\n", result.error.c_str());
    } else {
      std::printf("%9.0f %9.0f %9.1f %6.2f %8.0f\n", result.frames_per_second, result.lowest,
                  result.frames_per_second / race.streams, result.cpu_cores, result.device_mib);
      if (!json_.empty()) {
        std::ofstream(json_, std::ios::app) << fmt::format(
            "{{\"bench\":\"bench_video_nvdec\",\"machine\":\"{}\",\"clip\":\"{}\",\"streams\":{},"
            "\"processes\":{},\"extra_frames\":{},\"held\":{},\"cuda_stream\":\"{}\","
            "\"context\":\"{}\",\"fps\":{:.1f},\"lowest_fps\":{:.1f},\"cpu_cores\":{:.3f},"
            "\"device_mib\":{:.0f}}}\n",
            machine_, clip, race.streams, race.processes, race.extra_frames, race.held, stream,
            context, result.frames_per_second, result.lowest, result.cpu_cores, result.device_mib);
      }
    }
    std::fflush(stdout);
  }

 private:
  const std::string json_, machine_;
  bool heading_ = false;
};

// Every race once with each of the values.
template <typename Value, typename Set>
std::vector<Race> varied(const std::vector<Race>& races, const std::vector<Value>& values,
                         Set set) {
  std::vector<Race> result;
  for (const Race& race : races) {
    for (const Value value : values) set(result.emplace_back(race), value);
  }
  return result;
}

std::vector<Race> make_races(const Arguments& arguments, const std::string& clip) {
  Race race;
  race.clip = clip;
  race.held = arguments.held;
  race.seconds = arguments.seconds;
  std::vector<Race> races{race};
  races = varied(races, arguments.runtime_context,
                 [](Race& each, bool value) { each.sharing.runtime_context = value; });
  races = varied(races, arguments.own_streams,
                 [](Race& each, bool value) { each.sharing.own_streams = value; });
  races = varied(races, arguments.extra_frames,
                 [](Race& each, int value) { each.extra_frames = value; });
  races = varied(races, arguments.processes, [](Race& each, int value) { each.processes = value; });
  races = varied(races, arguments.streams, [](Race& each, int value) { each.streams = value; });
  std::erase_if(races, [](const Race& each) { return each.processes > each.streams; });
  return races;
}

// In another process as well: even asking for the name starts CUDA in this one.
std::string machine_name() {
  Forked process([](Lines& parent) {
    const GpuResources gpus = probe_gpus();
    if (gpus.gpus.empty()) throw Error(ErrorCode::kGpu, gpus.problem);
    parent.write(fmt::format("{}, driver {}", gpus.gpus.front().name, gpus.driver_version));
  });
  const std::string line = process.lines().read();
  if (const std::string error = error_in(line); !error.empty()) {
    throw Error(ErrorCode::kGpu, "needs a GPU: " + error);
  }
  return line;
}

int run(const Arguments& arguments) {
  const std::string machine = machine_name();
  std::printf("%s, libav %s\n", machine.c_str(), av_version_info());
  keep_libav_errors();
  Table table(arguments, machine);
  bool good = true;
  for (const std::string& clip : arguments.clips) {
    const bool right = !arguments.check || check(clip);
    good = good && right;
    if (!right || arguments.seconds <= 0) continue;
    for (const Race& race : make_races(arguments, clip)) {
      const RaceResult result = run_race(race);
      table.add(race, result);
      good = good && result.error.empty();
    }
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace peregrine::bench

int main(int argc, char** argv) {
  try {
    return peregrine::bench::run(peregrine::bench::parse(argc, argv));
  } catch (const peregrine::Error& error) {
    std::cerr << "bench_video_nvdec: " << error.what() << '\n';
    return peregrine::exit_code(error.code());
  }
}
