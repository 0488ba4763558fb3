// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "video/libav.h"
#include "video/orientation.h"

namespace peregrine::video {

/// NVDEC for one stream, through libav: the hardware device that its decoder uses, and what becomes
/// of the surfaces that come out. All streams of a GPU share CUDA's primary context (that of the
/// engines); each has a CUDA stream of its own, on which the driver finishes its pictures. Internal
/// to src/video; one reader's thread, but frames are let go of from any.
class GpuDecode {
 public:
  virtual ~GpuDecode() = default;
  /// A reference for `AVCodecContext::hw_device_ctx`.
  virtual AVBufferRef* device() const = 0;
  /// Called by the decoder's `get_format`, when it knows the stream and is about to make its
  /// surfaces: asks for as many as NVDEC allows, up to the frames that may be held outside.
  virtual void plan_surfaces(AVCodecContext& decoder) = 0;
  /// To be held while libav makes or frees the decoder: see `cuda::no_capture`.
  virtual std::shared_lock<std::shared_mutex> no_capture() const = 0;
  /// The frame around a decoded surface, where it lies: NV12 or P010, planar 4:4:4. Its `ready` is
  /// an event behind the driver's last work; letting go of its storage gives the surface back to
  /// the decoder, so readers' work must be done by then. When all surfaces that the decoder can
  /// spare are out, the picture is a copy in GPU memory; a turned one is copied upright. Fills what
  /// `FrameMaker::make` fills but matrix and range. Throws `Error(kInputUnsupported)` for another
  /// surface format, `Error(kGpu)`, `Error(kOutOfMemory)`.
  virtual Frame wrap(AvFrame surface, const Orientation& turn) = 0;
};

/// What a decoder will take of the GPU's memory.
struct DecoderNeed {
  std::string name;  ///< of the source, for messages
  std::size_t bytes = 0;
};

/// For a stream of which up to `held_frames` are held outside the decoder. Reserves `need` until
/// the decoder's surfaces are there (its first frame), so that streams that open side by side do
/// not each count on the same free memory. Throws `Error(kOutOfMemory)` that says how much is
/// missing, `Error(kGpu)` without a usable GPU or in a build without CUDA.
std::unique_ptr<GpuDecode> make_gpu_decode(int gpu, int held_frames, const DecoderNeed& need);

/// Upper bound of the memory of a decoder that may have `held` frames outside it: the surfaces of
/// the codec's reference pictures at this size and level, twice (libav lets the driver decode into
/// one and hand out another), and its bitstream buffers.
std::size_t decoder_bytes(const AVCodecParameters& parameters, int held);

}  // namespace peregrine::video
