// SPDX-License-Identifier: Apache-2.0
#include "dump_crops.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "video/synth/random.h"

namespace peregrine::synth {
namespace {

constexpr int kFramesASecond = 10;  // the world's clock; crops are taken a second apart
struct Shape {
  int width, height;
};

}  // namespace

void CropDump::world(std::uint64_t seed, int frames) {
  constexpr Shape kShapes[] = {{1280, 720}, {1280, 720}, {1280, 720}, {1280, 720},
                               {1280, 720}, {960, 540},  {960, 540},  {640, 360}};
  const Shape shape = kShapes[Rng::of(seed, 77).below(std::size(kShapes))];
  SynthOptions options;
  options.seed = seed;
  options.width = shape.width;
  options.height = shape.height;
  options.frame_rate = {kFramesASecond, 1};
  options.seconds = frames;
  options.crowd = Rng::of(seed, 78).range(0.5, 1.8);
  SynthWorld world(options);
  for (int second = 0; second < frames; ++second) {
    const Frame frame = world.render(static_cast<std::int64_t>(second) * kFramesASecond,
                                     PixelFormat::kRgb24, &truth_, {.masks = false});
    for (const SynthObject& o : truth_.objects) {
      if (o.ignore) continue;
      crop(frame, o.box);
      const float row[kColumns] = {
          static_cast<float>(seed),       static_cast<float>(o.id),
          static_cast<float>(o.class_id), static_cast<float>(o.visible_fraction),
          static_cast<float>(second),     o.box.height()};
      obj_.write(row, sizeof(row));
    }
  }
}

// Bilinear, as the program cuts crops; beyond the picture's border its last pixels go on.
void CropDump::crop(const Frame& frame, const Box& box) {
  const float wide = box.width() * (1 + 2 * kMargin), high = box.height() * (1 + 2 * kMargin);
  const float left = box.x1 - box.width() * kMargin, top = box.y1 - box.height() * kMargin;
  std::vector<std::uint8_t> out(static_cast<std::size_t>(kHeight) * kWidth * 3);
  std::uint8_t* to = out.data();
  for (int y = 0; y < kHeight; ++y) {
    const float v = std::clamp(top + (static_cast<float>(y) + 0.5f) * high / kHeight - 0.5f, 0.0f,
                               static_cast<float>(frame.info.height - 1));
    const int y0 = static_cast<int>(v), y1 = std::min(y0 + 1, frame.info.height - 1);
    const std::uint8_t* upper = frame.planes[0].data + y0 * frame.planes[0].stride;
    const std::uint8_t* lower = frame.planes[0].data + y1 * frame.planes[0].stride;
    const float fy = v - static_cast<float>(y0);
    for (int x = 0; x < kWidth; ++x) {
      const float u = std::clamp(left + (static_cast<float>(x) + 0.5f) * wide / kWidth - 0.5f, 0.0f,
                                 static_cast<float>(frame.info.width - 1));
      const int x0 = static_cast<int>(u), x1 = std::min(x0 + 1, frame.info.width - 1);
      const float fx = u - static_cast<float>(x0);
      for (int c = 0; c < 3; ++c) {
        const auto row = [&](const std::uint8_t* p) {
          return static_cast<float>(p[x0 * 3 + c]) * (1 - fx) +
                 static_cast<float>(p[x1 * 3 + c]) * fx;
        };
        *to++ = static_cast<std::uint8_t>(std::lround(row(upper) * (1 - fy) + row(lower) * fy));
      }
    }
  }
  rgb_.write(out.data(), out.size());
}

}  // namespace peregrine::synth
