// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "peregrine/error.h"
#include "video/synth/actors.h"
#include "video/synth/canvas.h"
#include "video/synth/scene.h"
#include "video/synth/synth.h"
#include "video/synth/truth.h"

namespace peregrine::synth {

/// Frames are handed out with the pixels in shared storage; storage that nobody holds any more is
/// used again.
class FramePool {
 public:
  std::shared_ptr<std::vector<std::uint8_t>> take(std::size_t bytes) {
    for (auto& buffer : buffers_) {
      if (buffer.use_count() == 1 && buffer->size() == bytes) return buffer;
    }
    auto fresh = std::make_shared<std::vector<std::uint8_t>>(bytes);
    if (buffers_.size() < kKept) buffers_.push_back(fresh);
    return fresh;
  }

 private:
  static constexpr std::size_t kKept = 16;
  std::vector<std::shared_ptr<std::vector<std::uint8_t>>> buffers_;
};

struct SynthWorld::State {
  SynthOptions options;
  Scene scene;
  Background background;
  std::vector<std::unique_ptr<Actor>> cast;
  Painter layer;
  Canvas canvas;
  FramePool pool;
  std::vector<Shown> shown;  // of the frame being drawn, far to near

  explicit State(const SynthOptions& wanted)
      : options(wanted),
        scene(Scene::plan(options)),
        background(paint_background(scene, options)),
        cast(cast_actors(scene, options)),
        layer(options.width, options.height),
        canvas(options.width, options.height) {}

  void line_up(const Camera& camera, double seconds);
  void draw_shadow(const Camera& camera, const Actor& actor, double seconds);
  void draw_headlights(const Camera& camera, const Actor& actor, double seconds,
                       std::uint16_t owner);
  void draw(const Camera& camera, double seconds, std::int64_t index);
  Frame hand_out(std::int64_t index, PixelFormat format);
};

void SynthWorld::State::line_up(const Camera& camera, double seconds) {
  shown.clear();
  for (std::size_t i = 0; i < cast.size(); ++i) {
    const Actor& actor = *cast[i];
    if (actor.path().start() > seconds) break;
    if (!actor.present(seconds)) continue;
    const Extent extent = actor.extent(camera, seconds);
    const Rect rect = extent.pixels().clipped(options.width, options.height);
    if (rect.empty()) continue;
    shown.push_back(
        {&actor, static_cast<std::int64_t>(i) + 1, actor.depth(seconds), extent, rect, 0});
  }
  std::stable_sort(shown.begin(), shown.end(),
                   [](const Shown& a, const Shown& b) { return a.depth > b.depth; });
}

void SynthWorld::State::draw_shadow(const Camera& camera, const Actor& actor, double seconds) {
  const Vec3 size = actor.shadow_size();
  if (size.x == 0) return;
  const Lighting& light = scene.lighting;
  const Stance stance = actor.path().at(seconds);
  const double along = std::abs(std::cos(stance.heading)), s = camera.scale(stance.z);
  const double wide = 0.5 * (size.x * along + size.z * (1 - along)) * s;
  const double flat = camera.height / stance.z;  // how much the ground is foreshortened
  const double deep = std::max(1.0, 0.5 * std::max(0.3, size.z) * s * flat);
  const Point foot = camera.project({stance.x, 0, stance.z});
  canvas.darken(foot, wide * 1.15, deep * 1.2, 0, light.shadow + 0.1);
  if (light.lit()) return;
  // The sun draws the body out sideways: an ellipse whose far end is the shadow of the head.
  const double reach = light.shadow_direction.x * size.y * s;
  const Point middle =
      foot + Point{reach * 0.5, -light.shadow_direction.y * size.y * s * flat * 0.5};
  canvas.darken(middle, std::abs(reach) * 0.55 + wide * 0.8, deep * 1.3,
                -light.shadow_direction.x * 0.1, light.shadow * 0.75);
}

void SynthWorld::State::draw_headlights(const Camera& camera, const Actor& actor, double seconds,
                                        std::uint16_t owner) {
  Vec3 lights[2];
  if (!actor.headlights(seconds, lights)) return;
  const bool night = scene.lighting.time == SynthOptions::Time::kNight;
  const double ahead = std::cos(actor.path().at(seconds).heading);
  const double s = camera.scale(lights[0].z);
  for (const Vec3& lamp : lights) {
    canvas.lighten(camera.project(lamp), 0.42 * s, 0.42 * s,
                   Color{1, 0.95, 0.8} * (night ? 0.55 : 0.3), owner);
  }
  if (!night) return;
  const Vec3 lit{lights[0].x + ahead * 3.2, 0, (lights[0].z + lights[1].z) / 2};
  canvas.lighten(camera.project(lit), 3.2 * s, 1.3 * s * camera.height / lit.z,
                 Color{0.4, 0.37, 0.29}, owner);
}

void SynthWorld::State::draw(const Camera& camera, double seconds, std::int64_t index) {
  for (const Shown& s : shown) draw_shadow(camera, *s.actor, seconds);
  for (std::size_t i = 0; i < shown.size(); ++i) {
    Shown& s = shown[i];
    layer.begin(s.rect);
    s.actor->draw(layer, camera, seconds);
    layer.flush();
    const Stance stance = s.actor->path().at(seconds);
    const Color light = scene.lighting.at({stance.x, 1.0, stance.z});
    s.covered = canvas.stamp(layer, s.rect,
                             {static_cast<std::uint16_t>(i + 1), s.depth, light,
                              scene.lighting.haze, scene.lighting.haze_at(s.depth)});
  }
  for (std::size_t i = 0; i < shown.size(); ++i) {
    draw_headlights(camera, *shown[i].actor, seconds, static_cast<std::uint16_t>(i + 1));
  }
  canvas.develop(scene.blur, scene.noise,
                 options.seed * 1000003 + static_cast<std::uint64_t>(index));
}

Frame SynthWorld::State::hand_out(std::int64_t index, PixelFormat format) {
  const auto w = static_cast<std::size_t>(options.width),
             h = static_cast<std::size_t>(options.height);
  const std::size_t half_w = (w + 1) / 2, half_h = (h + 1) / 2;
  const bool rgb = format == PixelFormat::kRgb24;
  auto buffer = pool.take(rgb ? 3 * w * h : w * h + 2 * half_w * half_h);
  Frame frame;
  frame.info.index = frame.info.pts = index;
  frame.info.time_base = {options.frame_rate.den, options.frame_rate.num};
  frame.info.width = options.width;
  frame.info.height = options.height;
  frame.format = format;
  std::uint8_t* data = buffer->data();
  if (rgb) {
    frame.range = ColorRange::kFull;
    canvas.to_rgb24(data);
    frame.planes[0] = {data, static_cast<std::int64_t>(3 * w)};
  } else {
    std::uint8_t *u = data + w * h, *v = u + half_w * half_h;
    canvas.to_yuv420p(data, u, v);
    frame.planes = {Plane{data, options.width}, Plane{u, static_cast<std::int64_t>(half_w)},
                    Plane{v, static_cast<std::int64_t>(half_w)}};
  }
  frame.storage = std::move(buffer);
  return frame;
}

SynthWorld::SynthWorld(const SynthOptions& options) {
  check_synth_options(options);
  state_ = std::make_unique<State>(options);
}
SynthWorld::~SynthWorld() = default;

const SynthOptions& SynthWorld::options() const { return state_->options; }

Frame SynthWorld::render(std::int64_t index, PixelFormat format, SynthTruth* truth,
                         TruthParts parts) {
  State& s = *state_;
  if (format != PixelFormat::kRgb24 && format != PixelFormat::kYuv420p) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("synthetic world: frames come as RGB24 or YUV420P, not {}", to_string(format)));
  }
  if (index < 0 || index >= s.options.frame_count()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("synthetic world: frame {} is outside of the clip's 0 to {}", index,
                            s.options.frame_count() - 1));
  }
  const double seconds = static_cast<double>(index) / s.options.frame_rate.value();
  const Point shake = s.scene.shake_at(seconds);
  const Camera camera = s.scene.camera.shifted(shake);
  s.canvas.begin(s.background, shake);
  s.line_up(camera, seconds);
  s.draw(camera, seconds, index);
  Frame frame = s.hand_out(index, format);
  if (truth != nullptr) {
    truth->frame = frame.info;
    observe(s.shown, s.canvas, camera, seconds, parts, *truth);
  }
  return frame;
}

}  // namespace peregrine::synth
