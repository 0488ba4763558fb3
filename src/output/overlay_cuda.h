// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "peregrine/detections.h"
#include "peregrine/engine.h"

namespace peregrine::output {

/// NV12 in device memory that may be written. Pointers and strides are even; bytes.
struct DevicePicture {
  std::uint8_t* luma = nullptr;
  std::int64_t luma_stride = 0;
  std::uint8_t* chroma = nullptr;
  std::int64_t chroma_stride = 0;
};

/// `OverlayRenderer` for pictures in device memory: the host lays out what is drawn, a few
/// kilobytes go up, one kernel draws all of it. The same bytes as on the CPU. Use one a stream,
/// from one thread at a time, always with the same CUDA stream.
class GpuOverlay {
 public:
  /// Throws `Error(kGpu)` without a GPU, or in a build without CUDA.
  explicit GpuOverlay(const std::vector<std::string>& labels);
  ~GpuOverlay();
  GpuOverlay(const GpuOverlay&) = delete;
  GpuOverlay& operator=(const GpuOverlay&) = delete;

  /// Enqueues: `to` becomes a copy of `frame` (NV12, on the device) with `result` drawn on it. `to`
  /// has the frame's size and may be the frame's own memory. The kernel waits on the device for
  /// `frame.ready`; the host waits for nothing but the upload of the frame before last. Both
  /// pictures must live until the stream has come so far. Device memory is allocated only for lists
  /// and alphabets longer than any before. Throws `Error(kInvalidArgument)` for another format or
  /// device, or odd strides, `Error(kGpu)`, `Error(kOutOfMemory)`.
  void draw(const Frame& frame, const FrameResult& result, const DevicePicture& to,
            StreamHandle stream);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace peregrine::output
