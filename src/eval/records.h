// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "peregrine/detections.h"

namespace peregrine::eval {

/// One object of a result, or of the truth.
struct Object {
  int class_id = 0;
  float score = 1;
  Box box;
  std::int64_t track = kNoTrack;
  std::vector<Keypoint> keypoints;  ///< of the truth: score 0, 0.5 and 1 for COCO's 0, 1 and 2
  Mask mask;                        ///< no counts: none
  std::vector<float> embedding;
  bool ignore = false;  ///< truth only: neither asked for nor held against a result that finds it
  double area() const;  ///< pixels of the mask, else of the box
};

struct FrameRecord {
  int stream = 0;
  std::int64_t index = 0;
  double seconds = 0;
  int width = 0, height = 0;
  std::vector<Object> objects;
};

/// A file of output lines (docs: schema 1). Lines that are no frames (gaps) are passed over.
struct Recording {
  std::string path;
  std::vector<FrameRecord> frames;
  std::vector<std::string> labels;  ///< by class id, where the file names them
};

/// Throws `Error(kInputNotFound)` or `Error(kInputCorrupt)` with the line's number.
Recording read_recording(const std::string& path);

/// Two recordings frame by frame.
struct FramePair {
  const FrameRecord* result;
  const FrameRecord* truth;
};
/// Pairs the frames of `result` with those of `truth` by stream and index, in the truth's order.
/// Throws `Error(kUsage)` when either has frames that the other lacks or the pictures differ in
/// size; with `partial`, frames that only the truth has are left out.
std::vector<FramePair> pair_frames(const Recording& result, const Recording& truth, bool partial);

/// Reads COCO's compressed run lengths. Throws `Error(kInputCorrupt)` when they do not cover
/// `width` x `height` exactly.
Mask decode_coco_rle(const std::string& text, int width, int height);

}  // namespace peregrine::eval
