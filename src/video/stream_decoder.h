// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>

#include "video/gpu_decode.h"
#include "video/libav.h"
#include "video/source.h"

namespace peregrine::video {

/// libav's decoder of one stream, on the CPU or a GPU. It outlives its connection: opening one of
/// a GPU takes the driver 70 ms (H100), one after the other, in which no stream decodes, so a
/// camera that comes back goes on in the decoder it had. One reader's thread.
class StreamDecoder {
 public:
  /// For the stream's codec, on `options.gpu.device` where NVDEC takes it, else on the CPU; `name`
  /// stands in messages. With `low_delay` pictures come out as soon as they are whole. Throws
  /// `Error(kInputUnsupported)`, `Error(kInputCorrupt)`, `Error(kOutOfMemory)`, `Error(kGpu)`.
  StreamDecoder(std::string name, const AVStream& stream, const SourceOptions& options,
                bool low_delay);
  ~StreamDecoder() { close(); }
  StreamDecoder(const StreamDecoder&) = delete;
  StreamDecoder& operator=(const StreamDecoder&) = delete;

  /// False when the packet is damaged.
  bool send(const AVPacket& packet);
  /// No more packets: the pictures inside still come out.
  void drain();
  /// Forgets what was sent, for a packet from elsewhere in the stream.
  void flush();

  enum class Outcome : std::uint8_t {
    kPicture,  ///< its flags say whether damage was concealed
    kHungry,   ///< send a packet
    kEnd,      ///< after `drain`
    kDamaged,  ///< a picture was lost
    kLeftGpu,  ///< NVDEC turned out not to take it; packets so far are lost, a CPU decoder is open
  };
  /// Fills `picture` (on a GPU in AV_PIX_FMT_CUDA). Throws `Error(kInputUnsupported)` when one
  /// exceeds the size limit, `Error(kGpu)` when strict mode keeps it off the CPU.
  Outcome receive(AVFrame& picture);

  /// Nothing is inside, and pictures came out: another connection may go on with this decoder.
  bool may_go_on() const;
  /// Takes the packets of `stream` from now on, from the first picture that needs none before it;
  /// when none comes in 300 packets, as a new decoder would. False when it is another kind of
  /// stream.
  bool go_on_with(const AVStream& stream);

  AVCodecID codec() const { return context_->codec_id; }
  /// Null while the CPU decodes.
  const std::shared_ptr<GpuDecode>& gpu() const { return gpu_; }

 private:
  bool open_on_gpu();
  void open_on_cpu();
  void start(const AVCodec& codec);
  void close();
  void leave_gpu(const std::string& why) const;
  [[noreturn]] void refuse_cpu(const std::string& why) const;
  void check_size(int width, int height) const;
  static AVPixelFormat choose_format(AVCodecContext* context, const AVPixelFormat* offered);
  static int get_buffer(AVCodecContext* context, AVFrame* frame, int flags);

  const std::string name_;
  const SourceOptions options_;
  const bool low_delay_;
  AvParameters parameters_;                   // of the stream
  AVRational time_base_;                      // of its packets
  std::shared_ptr<GpuDecode> gpu_;            // before context_, which uses it
  std::shared_lock<std::shared_mutex> gate_;  // from `choose_format` until libav returns
  AvCodec context_;
  bool drained_ = false;
  bool gpu_refused_ = false;        // by the decoder, when it saw what the stream is
  bool waits_for_refresh_ = false;  // behind another connection
  bool refreshed_ = false;          // the connection has marked where decoding can begin
  int skipped_ = 0;                 // packets, in wait for that
  std::int64_t pictures_ = 0;       // of this connection
  std::atomic<std::uint64_t> refused_size_{0};  // width << 32 | height; set by decoder threads
};

/// Whether decoding can begin with this packet, whatever came before it: an IDR or BLA picture of
/// H.264 and HEVC in Annex B (ITU-T H.264 table 7-1, H.265 table 7-1), whose other key frames may
/// be followed by pictures that refer back behind them; a key frame of any other codec.
bool refreshes_decoder(AVCodecID codec, const AVPacket& packet);

}  // namespace peregrine::video
