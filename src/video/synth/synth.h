// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "peregrine/detections.h"
#include "peregrine/frame.h"
#include "video/source.h"

namespace peregrine::synth {

/// Classes of the world, with COCO's ids.
enum class SynthClass : int { kPerson = 0, kBicycle = 1, kCar = 2, kDog = 16, kBall = 32 };

/// The 80 names of COCO by class id, so that the world's ids mean what people expect.
const std::vector<std::string>& coco_labels();

struct SynthOptions {
  enum class Time : std::uint8_t { kAny, kDay, kDusk, kNight };
  std::uint64_t seed = 1;
  int width = 640, height = 360;  ///< 64 to 8192
  Rational frame_rate{30, 1};     ///< 1 to 240 a second
  double seconds = 20;            ///< above 0, up to a day
  Time time = Time::kAny;         ///< kAny: the seed decides
  double crowd = 1;               ///< factor on the number of actors, 0 to 4

  std::int64_t frame_count() const;
};

/// Reads "seed=7,size=1280x720,fps=30,seconds=20,time=night,crowd=1" (each key optional, any
/// order; fps may be a ratio such as 30000/1001). Throws `Error(kUsage)` that names the key and
/// its range.
SynthOptions parse_synth_options(const std::string& text);
/// Throws `Error(kUsage)` when a value is out of its range.
void check_synth_options(const SynthOptions& options);

/// How a person who marks pictures for COCO would mark a body point.
enum class Visibility : std::uint8_t {
  kUnmarked,  ///< outside of the picture, hidden with no visible part of the body around, or of a
              ///< body below `kMinMarkedArea` (0)
  kOccluded,  ///< hidden, but within the box of what is seen, so that it can be told (1)
  kVisible,   ///< in sight (2)
};

/// A body point of COCO's 17, in COCO's order.
struct SynthKeypoint {
  float x = 0, y = 0;
  Visibility visibility = Visibility::kUnmarked;
};

/// An object of which less than this fraction can be seen, or whose box is narrower or lower than
/// this many pixels, is in the truth but marked `ignore`: a detector is neither asked for it nor
/// blamed for finding it (COCO's "iscrowd", MOT's "conf 0").
constexpr double kMinVisibleFraction = 0.3;
constexpr float kMinVisibleSide = 10;

/// Nobody marks the body points of people who show fewer pixels: COCO's have none on objects below
/// 32 x 32, and its measure of keypoints knows no small ones.
constexpr std::int64_t kMinMarkedArea = 32 * 32;

/// One object as it can be seen in one frame. Objects without one visible pixel are not listed.
struct SynthObject {
  SynthClass class_id = SynthClass::kPerson;
  std::int64_t id = 0;          ///< identity over the clip, from 1
  Box box;                      ///< tight box of the visible pixels, as people mark it for COCO
  std::int64_t area = 0;        ///< visible pixels
  double visible_fraction = 0;  ///< of what were seen with nothing in front and no picture border
  double distance = 0;          ///< metres from the camera, along its axis
  bool ignore = false;
  bool has_keypoints = false;  ///< people
  std::array<SynthKeypoint, 17> keypoints;
  Mask mask;  ///< visible pixels; a wheel counts as a whole disc; empty unless asked for
};

struct SynthTruth {
  FrameInfo frame;
  std::vector<SynthObject> objects;  ///< by rising id
  std::vector<float> depth;          ///< metres, [height, width], infinity for sky; if asked for
};

/// The truth as a perfect model would answer: objects not to be ignored, score 1, track = id;
/// keypoint scores 0, 0.5 and 1 for unmarked, occluded and visible.
FrameResult to_result(const SynthTruth& truth);

struct TruthParts {
  bool masks = true;
  bool depth = false;
};

/// A street that depends on nothing but its options: textured background, people, cars, bicycles,
/// dogs and balls on paths, one camera. Frames may be asked for in any order; each asking for the
/// same frame gives the same bytes. One thread at a time.
class SynthWorld {
 public:
  /// Paints the background. Throws `Error(kUsage)` for options out of range.
  explicit SynthWorld(const SynthOptions& options);
  ~SynthWorld();
  SynthWorld(const SynthWorld&) = delete;
  SynthWorld& operator=(const SynthWorld&) = delete;

  const SynthOptions& options() const;
  /// Draws frame `index` as kRgb24 or kYuv420p (BT.709, limited range). `truth`, when not null,
  /// gets what can be seen in it; its vectors are reused. The frame's time base is one frame.
  /// Throws `Error(kInvalidArgument)` for another format or an index outside the clip.
  Frame render(std::int64_t index, PixelFormat format, SynthTruth* truth = nullptr,
               TruthParts parts = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The world as a source; `name` is what the user wrote ("synth:seed=7,..."), with or without its
/// "synth:". Frames are kYuv420p. Throws `Error(kUsage)` like `parse_synth_options`.
std::unique_ptr<video::Source> make_synth_source(const std::string& name,
                                                 const video::SourceOptions& options);

}  // namespace peregrine::synth
