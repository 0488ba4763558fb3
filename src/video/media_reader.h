// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "video/input_io.h"
#include "video/libav.h"
#include "video/source.h"
#include "video/stream_decoder.h"
#include "video/watch.h"

namespace peregrine::video {

/// How a container is reached.
enum class Access : std::uint8_t { kFile, kPicture, kPipe, kHttp, kLive };

/// One open container and the decoder of its best video stream: libav without its corners.
class MediaReader {
 public:
  /// Why there are no more frames.
  enum class Ending : std::uint8_t { kNone, kEnd, kStopped, kStalled, kFailed };

  /// Opens `url` and its decoder. `name` stands in messages. Throws `Error(kInputNotFound)`,
  /// `Error(kInputCorrupt)`, `Error(kInputUnsupported)` or `Error(kInterrupted)`, for a GPU also
  /// `Error(kGpu)` and `Error(kOutOfMemory)`. `watch` must outlive the reader. A decoder that an
  /// earlier reader of a live stream gave up is taken from `kept` once the stream is there: to go
  /// on with when it fits, else to be closed.
  MediaReader(std::string name, const std::string& url, Access access, const SourceOptions& options,
              Watch& watch, std::unique_ptr<StreamDecoder>* kept = nullptr);
  MediaReader(const MediaReader&) = delete;
  MediaReader& operator=(const MediaReader&) = delete;

  /// The next decoded frame, `SourceOptions::loop` times those of the file (on the GPU in libav's
  /// AV_PIX_FMT_CUDA), or null when there is none; then `ending` says why. Throws
  /// `Error(kInputUnsupported)` when a picture exceeds the size limit or the file cannot be read
  /// again, `Error(kGpu)` when strict mode keeps it off the CPU.
  AvFrame read();
  Ending ending() const { return ending_; }
  /// What went wrong, for `kStalled` and `kFailed`.
  std::string ending_text() const;

  /// Goes to a key frame at or before `timestamp` (the stream's time base), so that every frame
  /// from there on is decoded whole. Returns the first such frame (null at the end); when the
  /// container cannot seek, simply the next frame.
  AvFrame seek(std::int64_t timestamp);

  /// When the last packet of the stream had come, in nanoseconds of the steady clock; 0: none yet.
  std::int64_t packet_time() const { return packet_time_; }

  const AVFormatContext& format() const { return *format_; }
  const AVStream& stream() const { return *stream_; }
  const StreamDecoder& decoder() const { return *decoder_; }
  /// For the next connection to the same live stream, the last use of this one; null when nothing
  /// can go on with it.
  std::unique_ptr<StreamDecoder> give_up_decoder();
  /// Packets skipped, and frames in which the decoder concealed damage, since the reader was made.
  std::int64_t corrupt_packets() const { return corrupt_; }

 private:
  void open_container(const std::string& url);
  void probe();
  void choose_stream();
  void open_decoder(std::unique_ptr<StreamDecoder>* kept);
  /// `position`: a time of the stream, or a byte with AVSEEK_FLAG_BYTE.
  bool move_to(std::int64_t position, int flags = AVSEEK_FLAG_BACKWARD);
  bool move_to_start();
  std::int64_t start_time() const;
  std::int64_t second() const;  // in the stream's time base
  void start_over();
  void feed();
  bool begin_round();
  void shift(AVPacket& packet);
  void end(int error);

  const std::string name_;
  const Access access_;
  const SourceOptions options_;
  Watch& watch_;
  std::unique_ptr<InputIo> io_;  // before format_: the demuxer reads from it until it is closed
  AvFormat format_;
  AVStream* stream_ = nullptr;
  std::unique_ptr<StreamDecoder> decoder_;
  AvPacket packet_;
  Ending ending_ = Ending::kNone;
  int ending_error_ = 0;
  int bad_reads_ = 0;
  std::int64_t packet_time_ = 0;
  bool wait_for_key_ = false;
  // Of a file that is read several times: what is added to its times, and where they began and end.
  std::int64_t rounds_left_;
  int rounds_without_frame_ = 0;
  std::int64_t shift_ = 0;
  std::optional<std::int64_t> round_start_, round_end_;
  bool trusts_corrupt_flag_ = true;
  std::atomic<std::int64_t> corrupt_{0};  // read by other threads
};

}  // namespace peregrine::video
