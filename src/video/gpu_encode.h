// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>

#include "video/libav.h"

namespace peregrine::video {

/// The pictures that NVENC reads for one video, through libav: NV12 surfaces in CUDA's primary
/// context. Internal to src/video; one encoder's thread.
class GpuEncode {
 public:
  virtual ~GpuEncode() = default;
  /// For `AVCodecContext::hw_frames_ctx`, which takes a reference of its own.
  virtual AVBufferRef* surfaces() const = 0;
  /// A surface with `frame` (NV12, on this GPU, no larger than the surface). Blocks until the copy
  /// is there, so that the frame may be let go of and NVENC may read. Columns and rows that the
  /// surface has beyond the picture repeat its last ones. Throws `Error(kGpu)`,
  /// `Error(kOutOfMemory)`.
  virtual AvFrame load(const Frame& frame) = 0;
  /// The same from host memory, of the surface's own size and format; the ledger shows it.
  virtual AvFrame upload(const AVFrame& picture) = 0;
  /// To be held while libav opens or frees the encoder: see `cuda::no_capture`.
  virtual std::shared_lock<std::shared_mutex> no_capture() const = 0;
};

/// Surfaces of `width` x `height`, even. Null in a build without CUDA. Throws `Error(kGpu)`,
/// `Error(kOutOfMemory)`.
std::unique_ptr<GpuEncode> make_gpu_encode(int gpu, int width, int height);

}  // namespace peregrine::video
