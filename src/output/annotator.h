// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "peregrine/detections.h"

namespace peregrine::output {

/// Draws answers on pictures, wherever those lie. One a stream, used from one thread at a time.
class Annotator {
 public:
  virtual ~Annotator() = default;
  /// A copy of `frame` with `result` drawn on it, where the frame lies if that can be drawn on
  /// there. On a GPU it is NV12, and to be let go of before the next call. Throws
  /// `Error(kInvalidArgument)` for a frame without pixels or in memory it does not read,
  /// `Error(kGpu)`, `Error(kOutOfMemory)`.
  virtual Frame draw(const Frame& frame, const FrameResult& result) = 0;
  /// `frame` itself when it is on the host, else a copy there. Blocks until it is there.
  virtual Frame to_host(const Frame& frame) = 0;
  /// `draw`, for encoders on the host.
  Frame render(const Frame& frame, const FrameResult& result) {
    return to_host(draw(frame, result));
  }
};
using MakeAnnotator =
    std::function<std::unique_ptr<Annotator>(const std::vector<std::string>& labels)>;

/// Host pictures, drawn by the CPU.
std::unique_ptr<Annotator> make_cpu_annotator(const std::vector<std::string>& labels);
/// Pictures of a GPU are drawn there (NV12, and 10 bits rounded to 8); those for the host come down
/// as the ledger's "pictures for drawing and encoding"; 4:4:4 comes down first. Host pictures too.
/// Throws `Error(kGpu)` in a build without CUDA.
std::unique_ptr<Annotator> make_gpu_annotator(const std::vector<std::string>& labels);

}  // namespace peregrine::output
