// SPDX-License-Identifier: Apache-2.0
// peregrine-synth-dump [--crops] FIRST_SEED SEEDS FRAMES OUT: training pictures of many small
// worlds.
//
// With --crops: pictures of single objects, see dump_crops.h. Without:
// writes FRAMES frames, spread over 24 seconds, of each world with seeds FIRST_SEED up to
// FIRST_SEED + SEEDS - 1, every one letterboxed into 640 x 640 with grey 114, as the models see it:
//   OUT.rgb  uint8   [n, 640, 640, 3]
//   OUT.own  uint8   [n, 640, 640]    0 nobody, else 1 + the object's place among the frame's rows
//   OUT.obj  float32 [rows, 61]       frame, class, identity, x1 y1 x2 y2, ignore, visible
//   fraction,
//                                     17 x (x, y, visibility 0 1 2), seed
// Identities are unique within a world. No libav, so that it runs on a bare training machine.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "dump_crops.h"
#include "dump_file.h"
#include "video/synth/random.h"
#include "video/synth/synth.h"

namespace {

using namespace peregrine;
using namespace peregrine::synth;

constexpr int kSide = 640;
constexpr int kColumns = 61;
constexpr double kSeconds = 24;

/// Picture sizes that a user's video may have, as the letterbox leaves them. Half of the worlds are
/// drawn at twice the size and halved, as a larger video would be: what is asked for in it may be
/// half as small.
struct Shape {
  int width, height, halve;
};
Shape choose_shape(std::uint64_t seed) {
  constexpr Shape kShapes[] = {{640, 360, 1},  {640, 360, 1},  {640, 480, 1},  {640, 640, 1},
                               {480, 640, 1},  {1280, 720, 2}, {1280, 720, 2}, {1280, 720, 2},
                               {1280, 720, 2}, {1280, 544, 2}};
  return kShapes[Rng::of(seed, 77).below(10)];
}

class Dump {
 public:
  explicit Dump(const std::string& out)
      : rgb_(out + ".rgb"), own_(out + ".own"), obj_(out + ".obj") {}

  void world(std::uint64_t seed, int frames) {
    const Shape shape = choose_shape(seed);
    SynthOptions options;
    options.seed = seed;
    options.width = shape.width;
    options.height = shape.height;
    options.frame_rate = {10, 1};
    options.seconds = kSeconds;
    options.crowd = Rng::of(seed, 78).range(0.5, 1.8);
    SynthWorld world(options);
    for (int i = 0; i < frames; ++i) {
      const auto index = static_cast<std::int64_t>(
          (i + 0.5) * static_cast<double>(options.frame_count()) / frames);
      const Frame frame = world.render(index, PixelFormat::kRgb24, &truth_);
      picture(frame, shape);
      owners(shape);
      rows(seed, shape);
      ++count_;
    }
  }

 private:
  void picture(const Frame& frame, Shape shape) {
    std::vector<std::uint8_t> out(kSide * kSide * 3, 114);
    const int w = shape.width / shape.halve, h = shape.height / shape.halve, k = shape.halve;
    for (int y = 0; y < h; ++y) {
      std::uint8_t* to =
          &out[static_cast<std::size_t>(((y + (kSide - h) / 2) * kSide + (kSide - w) / 2) * 3)];
      for (int x = 0; x < w; ++x) {
        for (int c = 0; c < 3; ++c) {
          int sum = 0;
          for (int j = 0; j < k; ++j) {
            for (int i = 0; i < k; ++i) {
              sum +=
                  frame.planes[0].data[(y * k + j) * frame.planes[0].stride + (x * k + i) * 3 + c];
            }
          }
          to[x * 3 + c] = static_cast<std::uint8_t>((sum + k * k / 2) / (k * k));
        }
      }
    }
    rgb_.write(out.data(), out.size());
  }

  void owners(Shape shape) {
    std::vector<std::uint8_t> out(kSide * kSide, 0);
    const int w = shape.width / shape.halve, h = shape.height / shape.halve, k = shape.halve;
    std::vector<std::uint8_t> column_major(
        static_cast<std::size_t>(shape.width) * static_cast<std::size_t>(shape.height), 0);
    for (std::size_t n = 0; n < truth_.objects.size() && n < 255; ++n) {
      std::size_t at = 0;
      bool inside = false;
      for (std::uint32_t run : truth_.objects[n].mask.counts) {
        if (inside) std::memset(&column_major[at], static_cast<int>(n + 1), run);
        at += run;
        inside = !inside;
      }
    }
    for (int y = 0; y < h; ++y) {
      for (int x = 0; x < w; ++x) {
        out[static_cast<std::size_t>((y + (kSide - h) / 2) * kSide + (kSide - w) / 2 + x)] =
            column_major[static_cast<std::size_t>(x * k) * static_cast<std::size_t>(shape.height) +
                         static_cast<std::size_t>(y * k)];
      }
    }
    own_.write(out.data(), out.size());
  }

  void rows(std::uint64_t seed, Shape shape) {
    const int w = shape.width / shape.halve, h = shape.height / shape.halve;
    const float scale = 1.0f / static_cast<float>(shape.halve);
    const auto dx = static_cast<float>((kSide - w) / 2), dy = static_cast<float>((kSide - h) / 2);
    for (const SynthObject& o : truth_.objects) {
      std::vector<float> row = {static_cast<float>(count_),
                                static_cast<float>(o.class_id),
                                static_cast<float>(o.id),
                                o.box.x1 * scale + dx,
                                o.box.y1 * scale + dy,
                                o.box.x2 * scale + dx,
                                o.box.y2 * scale + dy,
                                o.ignore ? 1.0f : 0.0f,
                                static_cast<float>(o.visible_fraction)};
      for (const SynthKeypoint& k : o.keypoints) {
        row.insert(row.end(),
                   {k.x * scale + dx, k.y * scale + dy, static_cast<float>(k.visibility)});
      }
      row.push_back(static_cast<float>(seed));
      row.resize(kColumns);
      obj_.write(row.data(), row.size() * sizeof(float));
    }
  }

  DumpFile rgb_, own_, obj_;
  SynthTruth truth_;
  std::int64_t count_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const bool crops = argc > 1 && std::strcmp(argv[1], "--crops") == 0;
  if (argc != 5 + crops) {
    std::fprintf(stderr, "usage: peregrine-synth-dump [--crops] FIRST_SEED SEEDS FRAMES OUT\n");
    return 2;
  }
  char** rest = argv + 1 + crops;
  const auto first = std::strtoull(rest[0], nullptr, 10),
             seeds = std::strtoull(rest[1], nullptr, 10);
  const int frames = std::atoi(rest[2]);
  const auto draw = [&](auto&& dump) {
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) dump.world(seed, frames);
  };
  try {
    crops ? draw(CropDump(rest[3])) : draw(Dump(rest[3]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peregrine-synth-dump: %s\n", error.what());
    return 1;
  }
}
