// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "dump_file.h"
#include "video/synth/synth.h"

namespace peregrine::synth {

/// What a ReID model is trained on: every object of a world at moments a second apart, cut out of
/// the frame as it is drawn, with an eighth of the box more on each side so that training may move
/// the box.
///   OUT.rgb  uint8   [n, 256, 128, 3]
///   OUT.obj  float32 [n, 6]   seed, identity, class, visible fraction, seconds, pixels of height
class CropDump {
 public:
  static constexpr int kHeight = 256, kWidth = 128, kColumns = 6;
  static constexpr float kMargin = 0.125f;

  explicit CropDump(const std::string& out) : rgb_(out + ".rgb"), obj_(out + ".obj") {}
  void world(std::uint64_t seed, int frames);

 private:
  void crop(const Frame& frame, const Box& box);

  DumpFile rgb_, obj_;
  SynthTruth truth_;
};

}  // namespace peregrine::synth
