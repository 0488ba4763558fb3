// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "vision/letterbox.h"

namespace peregrine::vision {

struct DecodeOptions {
  float confidence = 0.25f;
  float iou = 0.7f;
  int max_detections = 300;
  std::vector<int> classes;  ///< keep only these; empty keeps all
  bool masks = true;         ///< false leaves segmentation masks out
};

/// Raw outputs of one picture to its answer. Holds scratch memory: one a thread.
class OutputDecoder {
 public:
  virtual ~OutputDecoder() = default;
  /// `outputs` as the engine wrote them, float32, packed, each `[batch, ...]`; decodes picture
  /// `item`. Fills `result.detections` (in source pixels), `result.classes`, `result.embedding` or
  /// `result.depth` (at the output's own resolution).
  virtual void decode(std::span<const TensorView> outputs, int item, const Letterbox& letterbox,
                      FrameResult& result) = 0;
};

/// Throws `Error(kTaskUnknown)` for a task without a decoder on this device.
std::unique_ptr<OutputDecoder> make_output_decoder(const TaskSpec& spec,
                                                   const DecodeOptions& options);

}  // namespace peregrine::vision
