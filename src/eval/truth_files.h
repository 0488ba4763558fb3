// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "video/synth/synth.h"

namespace peregrine::eval {

/// Writes what is true of a synthetic clip, frame by frame. Files appear under their names when
/// `finish` returns. Throws `Error(kOutput)`.
class TruthFile {
 public:
  virtual ~TruthFile() = default;
  virtual void write(const synth::SynthTruth& truth) = 0;
  virtual void finish() = 0;
};

/// Output lines of schema 1, with three more fields an object: "visible" (fraction), "distance"
/// (metres) and, where true, "ignore". `source` names the clip.
std::unique_ptr<TruthFile> make_truth_jsonl(const std::string& path, const std::string& source);
/// MOT's gt.txt: frame, id, left, top, width, height, 1 or 0 to be ignored, class (COCO id + 1, so
/// that a person is MOT's 1), visible fraction. Frames from 1.
std::unique_ptr<TruthFile> make_truth_mot(const std::string& path);
/// COCO annotations (images, annotations, categories); `iscrowd` marks what is to be ignored; image
/// ids are frame numbers, category ids those of the output lines.
std::unique_ptr<TruthFile> make_truth_coco(const std::string& path);

}  // namespace peregrine::eval
