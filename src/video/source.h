// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "peregrine/detections.h"
#include "peregrine/frame.h"

namespace peregrine::video {

/// Whether and how a source is decoded on a GPU.
struct GpuDecodeOptions {
  int device = -1;  ///< CUDA's number; -1: on the CPU
  /// A stream that NVDEC does not decode is an error; otherwise the CPU decodes it, with a notice.
  bool strict = false;
  /// Frames that are in use at once outside the decoder, at most; each is a surface of GPU memory.
  int held_frames = 8;
};

struct SourceOptions {
  /// From the stream's first time; earlier frames are dropped, and indices count from here.
  double start_seconds = 0;
  double end_seconds = 0;       ///< first time no longer wanted; 0: to the end
  std::int64_t every = 1;       ///< deliver each Nth decoded frame
  std::int64_t max_frames = 0;  ///< delivered frames; 0: all
  std::int64_t loop = 1;        ///< times that a video file is read, its times going on
  /// Decode as from a camera: the CPU decoder holds no pictures back to work on several at once.
  /// Who wants the file's own speed too wraps the source (video/paced_source.h).
  bool paced = false;
  int max_side = 8192;      ///< larger pictures are refused
  int decoder_threads = 0;  ///< of the CPU decoder; 0: libav chooses
  GpuDecodeOptions gpu;
  double stall_seconds = 2.5;  ///< a live source silent for this long is reconnected
  double backoff_min_seconds = 0.5;
  double backoff_max_seconds = 30;
  double connect_seconds = 10;  ///< a first connection that takes longer fails
  int max_reconnects = -1;      ///< -1: for ever
  /// When set and true, `open_source` throws `Error(kInterrupted)` soon: a connection under way can
  /// be given up. Must outlive the call.
  const std::atomic<bool>* cancel = nullptr;
};

/// Fixed facts once a source is open.
struct SourceInfo {
  std::string name;           ///< as given, credentials removed
  int width = 0, height = 0;  ///< as displayed
  Rational time_base{1, 1};
  Rational frame_rate{0, 1};     ///< nominal; {0, 1} when unknown
  std::int64_t frame_count = 0;  ///< 0 when unknown
  double duration_seconds = 0;   ///< 0 when unknown
  std::string codec;             ///< "h264", "png", ...
  bool live = false;             ///< cannot wait: frames it has produced are lost unless taken
};

/// What `Source::read` found.
struct EndOfStream {};
using SourceEvent = std::variant<Frame, StreamGap, EndOfStream>;

/// One stream of frames. Used from one thread; `interrupt` may come from any.
class Source {
 public:
  virtual ~Source() = default;
  virtual const SourceInfo& info() const = 0;
  /// The next frame, in presentation order; blocks. A change of resolution in mid-stream shows in
  /// the frame. Corrupt packets are skipped and counted. Throws `Error(kInputCorrupt)` when nothing
  /// more can be had although the stream has not ended (a file truncated in the middle ends so,
  /// after its last whole frame).
  virtual SourceEvent read() = 0;
  /// Makes a blocked `read` (or reconnect) return `EndOfStream` soon.
  virtual void interrupt() noexcept = 0;
  virtual std::int64_t corrupt_packets() const { return 0; }
};

/// What the user wrote on the command line becomes single sources: a file, a folder or glob (its
/// videos one source each; its pictures together one source, in natural order), a `.txt` list (one
/// source a line,
/// `#` comments), `rtsp://`, `http://`, `https://`, `-` (standard input). Nothing
/// is opened. Throws `Error(kInputNotFound)` when a folder or glob holds nothing to read.
struct SourceSpec {
  enum class Kind : std::uint8_t { kFile, kPictures, kNetwork, kPipe } kind = Kind::kFile;
  std::string name;  ///< for people and for the output's "source" field, credentials removed
  std::string url;   ///< what libav opens
  std::vector<std::string> files;  ///< the pictures of kPictures
};
std::vector<SourceSpec> expand_sources(const std::vector<std::string>& arguments);

/// Opens it with the decoder that the options ask for. In strict mode a stream that NVDEC does not
/// decode throws `Error(kGpu)`, and so do pictures, which are always decoded on the CPU;
/// `Error(kOutOfMemory)` when the GPU has no room for its surfaces. Otherwise throws
/// `Error(kInputNotFound)`, `Error(kInputCorrupt)` or `Error(kInputUnsupported)`, naming the
/// source; `Error(kInterrupted)` when cancelled.
std::unique_ptr<Source> open_source(const SourceSpec& spec, const SourceOptions& options);

}  // namespace peregrine::video
