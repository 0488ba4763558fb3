// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "video/synth/actors.h"
#include "video/synth/canvas.h"
#include "video/synth/synth.h"

namespace peregrine::synth {

/// An actor in the picture being drawn. Its owner number on the canvas is its position + 1.
struct Shown {
  const Actor* actor;
  std::int64_t id;
  double depth;
  Extent extent;         ///< all of it, with what lies outside of the picture
  Rect rect;             ///< the part inside
  std::int64_t covered;  ///< pixels it would have with nothing in front of it
};

/// Reads off a drawn canvas who can be seen where. Fills `truth.objects` and, if asked for,
/// `truth.depth`.
void observe(const std::vector<Shown>& shown, const Canvas& canvas, const Camera& camera,
             double seconds, TruthParts parts, SynthTruth& truth);

}  // namespace peregrine::synth
