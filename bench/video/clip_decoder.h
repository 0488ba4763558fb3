// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/cuda/handles.h"
#include "video/libav.h"

struct AVCUDADeviceContext;

namespace peregrine::bench {

using AvBuffer = std::unique_ptr<AVBufferRef, video::AvDelete<av_buffer_unref>>;

/// How the decoders of a process share the GPU. All are in the one primary context.
struct Sharing {
  /// libav is handed the context as the CUDA runtime made it; otherwise libav makes it, with waits
  /// that block instead of spinning.
  bool runtime_context = false;
  /// Each decoder post-processes on a CUDA stream of its own; otherwise all on the default stream.
  bool own_streams = false;
};

/// GPU 0 as libav sees it. Throws `Error(kGpu)`.
class DecodeDevice {
 public:
  explicit DecodeDevice(const Sharing& sharing);
  AVBufferRef* reference() const { return device_.get(); }

 private:
  AVCUDADeviceContext& cuda() const;

  cuda::Stream stream_;  // before device_: libav's frames are on it until they are gone
  AvBuffer device_;
};

/// The CUDA stream that a decoded frame is complete on.
cudaStream_t stream_of(const AVFrame& frame);

/// A file and its decoder, demuxed from the page cache. Throws `Error(kInputCorrupt)` or
/// `Error(kInputUnsupported)`, with libav's own last message.
class ClipDecoder {
 public:
  enum class Ending { kOnce, kLoop };

  /// Decodes on the CPU, with all cores.
  ClipDecoder(const std::string& path, Ending ending);
  /// Decodes on the GPU into frames of `device`, which must outlive them; `extra_frames` surfaces
  /// are added to those the codec needs.
  ClipDecoder(const std::string& path, Ending ending, const DecodeDevice& device, int extra_frames);

  /// Null when the clip is over, which a looped one never is.
  video::AvFrame next();
  const AVCodecParameters& parameters() const { return *stream_->codecpar; }

 private:
  void open_container();
  void make_decoder(const AVCodec* codec);
  void start_decoder();
  void feed();
  void rewind();
  void check_start();
  [[noreturn]] void fail(const std::string& what, int code) const;
  static AVPixelFormat choose_cuda(AVCodecContext* decoder, const AVPixelFormat* offered);

  const std::string path_;
  const Ending ending_;
  video::AvFormat format_;
  AVStream* stream_ = nullptr;
  video::AvCodec decoder_;
  video::AvPacket packet_;
  bool at_start_ = true;
  std::optional<std::int64_t> first_time_;  // decoding time of the first packet
};

/// Keeps libav's errors for `ClipDecoder`'s messages instead of printing them. Process-wide.
void keep_libav_errors();

}  // namespace peregrine::bench
