// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "video/input_io.h"
#include "video/libav.h"
#include "video/source.h"
#include "video/watch.h"

namespace peregrine::video {

/// How a container is reached.
enum class Access : std::uint8_t { kFile, kPicture, kPipe, kHttp, kLive };

/// One open container and the CPU decoder of its best video stream: libav without its corners.
class MediaReader {
 public:
  /// Why there are no more frames.
  enum class Ending : std::uint8_t { kNone, kEnd, kStopped, kStalled, kFailed };

  /// Opens `url` and its decoder. `name` stands in messages. Throws `Error(kInputNotFound)`,
  /// `Error(kInputCorrupt)`, `Error(kInputUnsupported)` or `Error(kInterrupted)`. `watch` must
  /// outlive the reader.
  MediaReader(std::string name, const std::string& url, Access access, const SourceOptions& options,
              Watch& watch);

  /// The next decoded frame, or null when there is none; then `ending` says why. Throws
  /// `Error(kInputUnsupported)` when a picture exceeds the size limit.
  AvFrame read();
  Ending ending() const { return ending_; }
  /// What went wrong, for `kStalled` and `kFailed`.
  std::string ending_text() const;

  /// Goes to a key frame at or before `timestamp` (the stream's time base), so that every frame
  /// from there on is decoded whole. Returns the first such frame (null at the end); when the
  /// container cannot seek, simply the next frame.
  AvFrame seek(std::int64_t timestamp);

  const AVFormatContext& format() const { return *format_; }
  const AVStream& stream() const { return *stream_; }
  const AVCodecContext& decoder() const { return *decoder_; }
  /// Packets skipped, and frames in which the decoder concealed damage, since the reader was made.
  std::int64_t corrupt_packets() const { return corrupt_; }

 private:
  void open_container(const std::string& url);
  void probe();
  void choose_stream();
  void open_decoder();
  [[noreturn]] void refuse_size(int width, int height) const;
  static int get_buffer(AVCodecContext* decoder, AVFrame* frame, int flags);
  bool seek_once(std::int64_t timestamp);
  bool rewind(std::int64_t first, std::int64_t second);
  void feed();
  void end(int error);

  const std::string name_;
  const Access access_;
  const SourceOptions options_;
  Watch& watch_;
  std::unique_ptr<InputIo> io_;  // before format_: the demuxer reads from it until it is closed
  AvFormat format_;
  AVStream* stream_ = nullptr;
  AvCodec decoder_;
  AvPacket packet_;
  Ending ending_ = Ending::kNone;
  int ending_error_ = 0;
  int bad_reads_ = 0;
  bool wait_for_key_ = false;
  bool trusts_corrupt_flag_ = true;
  std::atomic<std::int64_t> corrupt_{0};        // read by other threads
  std::atomic<std::uint64_t> refused_size_{0};  // width << 32 | height; set by decoder threads
};

}  // namespace peregrine::video
