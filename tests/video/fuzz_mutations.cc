// SPDX-License-Identifier: Apache-2.0
// Mutated copies of small clips, read to their end: no crash, no sanitizer report, no hang.
// fuzz_mutations [COUNT [SEED]]; COUNT mutants in all (60 without), PEREGRINE_FUZZ_COUNT where no
// argument is given. A mutant that takes over five seconds or fails with something else than an
// Error is kept in the working directory and named.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

#include <fmt/format.h>

#include "video/clips.h"

namespace peregrine::testing {
namespace {

constexpr double kLimitSeconds = 5;

struct Seed {
  std::string name;
  std::string bytes;
};

std::vector<Seed> make_seeds() {
  struct Recipe {
    const char* name;
    const char* arguments;
  };
  constexpr Recipe kRecipes[] = {
      {"h264.mp4", "-c:v libx264 -g 8 -pix_fmt yuv420p"},
      {"fragmented.mp4",
       "-c:v libx265 -g 8 -x265-params log-level=none -movflags "
       "frag_keyframe+empty_moov -pix_fmt yuv420p"},
      {"vp9.mkv", "-c:v libvpx-vp9 -cpu-used 8 -deadline realtime -pix_fmt yuv420p"},
      {"mpeg4.mkv", "-c:v mpeg4 -g 8"},
      {"h264.ts", "-c:v libx264 -g 8 -pix_fmt yuv420p"},
      {"mjpeg.avi", "-c:v mjpeg -pix_fmt yuvj420p"},
      {"picture.jpg", "-frames:v 1"},
      {"picture.png", "-frames:v 1"},
  };
  const TemporaryFolder folder;
  std::vector<Seed> seeds;
  for (const Recipe& recipe : kRecipes) {
    const std::string path = folder / recipe.name;
    ffmpeg(fmt::format("-f lavfi -i testsrc2=s=96x64:r=10:d=2 {} '{}'", recipe.arguments, path));
    seeds.push_back({recipe.name, contents(path)});
  }
  return seeds;
}

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t limit) { return limit == 0 ? 0 : random() % limit; }

void mutate_once(std::string& bytes, Random& random) {
  const std::size_t at = below(random, bytes.size());
  const std::size_t length = 1 + below(random, std::min<std::size_t>(bytes.size() - at, 512));
  switch (random() % 6) {
    case 0: bytes.resize(at); break;
    case 1:
      for (std::size_t i = 0; i < 1 + length / 16; ++i) {
        bytes[below(random, bytes.size())] ^= static_cast<char>(1U << (random() % 8));
      }
      break;
    case 2: bytes.replace(at, length, length, '\0'); break;
    case 3: bytes.insert(at, bytes.substr(at, length)); break;
    case 4: bytes.replace(at, length, length, '\xff'); break;
    default: {  // headers are small and rule everything
      const std::size_t header = below(random, std::min<std::size_t>(bytes.size(), 1024));
      bytes[header] = static_cast<char>(random());
    }
  }
}

std::string mutant_of(const Seed& seed, Random& random) {
  std::string bytes = seed.bytes;
  for (std::size_t count = 1 + random() % 4; count > 0 && !bytes.empty(); --count) {
    mutate_once(bytes, random);
  }
  return bytes;
}

/// What became of a mutant: "read", or the code of its error.
std::string outcome_of(const std::string& path) {
  try {
    video::SourceOptions options;
    options.max_side = 2048;  // a mutated header must not fill the machine's memory
    const Reading reading = read_all(path, options);
    return reading.error.empty() ? "read" : to_string(reading.code);
  } catch (const Error& error) {
    return to_string(error.code());
  }
}

int run(int count, std::uint64_t seed) {
  const std::vector<Seed> seeds = make_seeds();
  const TemporaryFolder folder;
  std::map<std::string, int> outcomes;
  double slowest = 0;
  int failures = 0;
  for (int i = 0; i < count; ++i) {
    Random random(seed * 1000003 + static_cast<std::uint64_t>(i));
    const Seed& original = seeds[static_cast<std::size_t>(i) % seeds.size()];
    const std::string name = fmt::format("{}-{}-{}", seed, i, original.name);
    const std::string bytes = mutant_of(original, random);
    write_file(folder / name, bytes);
    // Should the process die here, the last line says of what.
    std::fprintf(stderr, "%s\n", name.c_str());
    const auto start = std::chrono::steady_clock::now();
    std::string outcome;
    try {
      outcome = outcome_of(folder / name);
    } catch (const std::exception& error) {
      outcome = fmt::format("exception: {}", error.what());
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    slowest = std::max(slowest, seconds);
    ++outcomes[outcome];
    if (seconds > kLimitSeconds || outcome.starts_with("exception") || outcome == "internal") {
      ++failures;
      write_file(name, bytes);
      std::printf("FAILED %s: %s after %.1f s\n", name.c_str(), outcome.c_str(), seconds);
    }
  }
  for (const auto& [outcome, times] : outcomes) std::printf("%6d %s\n", times, outcome.c_str());
  std::printf("%d mutants, slowest %.2f s, %d failures\n", count, slowest, failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace peregrine::testing

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;  // CTest's SKIP_RETURN_CODE
  if (!peregrine::testing::has_program("ffmpeg")) return kSkipped;
  const char* named = std::getenv("PEREGRINE_FUZZ_COUNT");
  const int count = argc > 1 ? std::atoi(argv[1]) : named != nullptr ? std::atoi(named) : 60;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  return peregrine::testing::run(count, seed);
}
