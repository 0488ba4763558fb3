// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <vector>

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/cuda/handles.h"
#include "core/cuda/memory.h"
#include "peregrine/error.h"
#include "video/gpu_decode.h"
#include "video/libav_cuda.h"

namespace peregrine::video {
namespace {

/// Memory that decoders have been promised and have not taken yet, by GPU.
class Reservation {
 public:
  Reservation(int gpu, const DecoderNeed& need) : gpu_(gpu), bytes_(need.bytes) {
    const std::lock_guard lock(mutex());
    const std::size_t free = cuda::available_memory(gpu);
    std::size_t& promised = promises()[static_cast<std::size_t>(gpu)];
    const std::size_t wanted = promised + need.bytes;
    if (wanted > free) {
      constexpr double kGiB = 1 << 30;
      throw Error(
          ErrorCode::kOutOfMemory,
          fmt::format("'{}' needs {:.2f} GiB more than is free on cuda:{} (its decoder takes "
                      "{:.2f} GiB, {:.2f} GiB are free and {:.2f} GiB of that promised to "
                      "other streams). Run fewer streams, lower --queue-depth or --batch, "
                      "or raise --vram-limit",
                      need.name, static_cast<double>(wanted - free) / kGiB, gpu,
                      static_cast<double>(need.bytes) / kGiB, static_cast<double>(free) / kGiB,
                      static_cast<double>(promised) / kGiB));
    }
    promised = wanted;
  }
  ~Reservation() { release(); }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

  void release() {
    if (bytes_ == 0) return;
    const std::lock_guard lock(mutex());
    promises()[static_cast<std::size_t>(gpu_)] -= bytes_;
    bytes_ = 0;
  }

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static std::vector<std::size_t>& promises() {
    static std::vector<std::size_t> by_gpu(64, 0);
    return by_gpu;
  }
  const int gpu_;
  std::size_t bytes_;
};

/// The CUDA stream on which a decoder finishes its pictures, the events behind them, which frames
/// borrow, and how many surfaces are out; lives as long as the last frame.
class FinishLine {
 public:
  std::atomic<int> surfaces_out{0};  // that frames hold

  cudaStream_t stream() const { return stream_.get(); }
  cuda::Event mark() {
    cuda::Event event = take();
    CUDA_CHECK(cudaEventRecord(event.get(), stream_.get()));
    return event;
  }
  void give_back(cuda::Event event) noexcept {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(event));
  }

 private:
  cuda::Event take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return cuda::make_event();
    cuda::Event event = std::move(idle_.back());
    idle_.pop_back();
    return event;
  }

  const cuda::Stream stream_ = cuda::make_stream();
  std::mutex mutex_;
  std::vector<cuda::Event> idle_;
};

/// What a frame of the GPU keeps alive.
struct Picture {
  AvFrame surface;          // the decoder's, until it is no longer read
  cuda::PooledBuffer copy;  // or memory of our own
  cuda::Event ready;
  std::shared_ptr<FinishLine> finish;

  ~Picture() {
    // The pool may hand the memory to another stream at once, also when nobody looked at the
    // picture.
    if (copy.data() != nullptr && ready) cudaEventSynchronize(ready.get());
    if (surface) {
      // The last surface may take the decoder with it.
      const auto gate = cuda::no_capture();
      surface.reset();
      --finish->surfaces_out;
    }
    if (ready) finish->give_back(std::move(ready));
  }
};

struct SurfaceLayout {
  PixelFormat format;
  int planes;
  int bytes;         // of a sample
  int chroma_shift;  // both ways
};

SurfaceLayout layout_of(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_NV12: return {PixelFormat::kNv12, 2, 1, 1};
    case AV_PIX_FMT_P010:
    case AV_PIX_FMT_P016: return {PixelFormat::kP010, 2, 2, 1};
    case AV_PIX_FMT_YUV444P: return {PixelFormat::kYuv444p, 3, 1, 0};
    default:
      throw Error(ErrorCode::kInputUnsupported,
                  fmt::format("NVDEC delivers {}, which is not handled on the GPU; run with "
                              "--device cpu",
                              av_get_pix_fmt_name(format)));
  }
}

class CudaDecode final : public GpuDecode {
 public:
  CudaDecode(int gpu, int held_frames, const DecoderNeed& need)
      : gpu_(gpu), held_frames_(held_frames), reservation_(gpu, need) {
    finish_ = std::make_shared<FinishLine>();
    device_ = make_av_cuda_device(gpu, finish_->stream());
  }

  ~CudaDecode() override { drop_copied(0); }

  AVBufferRef* device() const override { return device_.get(); }

  void plan_surfaces(AVCodecContext& decoder) override {
    // With 32 surfaces cuvidCreateDecoder fails (H100, driver 580), with 28 it does not. libav's
    // own need is known only here; the three that it adds for its callers may be out like those
    // that are asked for.
    constexpr int kMostSurfaces = 28, kSpare = 3;
    decoder.extra_hw_frames = 0;
    AVBufferRef* planned = nullptr;
    int needed = kMostSurfaces;
    if (avcodec_get_hw_frames_parameters(&decoder, device_.get(), AV_PIX_FMT_CUDA, &planned) >= 0) {
      const AvBuffer frames(planned);
      needed = reinterpret_cast<const AVHWFramesContext*>(frames->data)->initial_pool_size;
    }
    // One of them is on its way out.
    decoder.extra_hw_frames =
        std::clamp(kMostSurfaces - needed, 0, std::max(0, held_frames_ + 1 - kSpare));
    surfaces_ = decoder.extra_hw_frames + kSpare - 1;
  }

  std::shared_lock<std::shared_mutex> no_capture() const override { return cuda::no_capture(); }

  Frame wrap(AvFrame decoded, const Orientation& turn) override {
    CUDA_CHECK(cudaSetDevice(gpu_));
    reservation_.release();
    // With this one at most as many are out as the decoder can spare, however busy the GPU is.
    drop_copied(static_cast<std::size_t>(std::max(0, surfaces_ - finish_->surfaces_out)));
    const auto* frames = reinterpret_cast<const AVHWFramesContext*>(decoded->hw_frames_ctx->data);
    const SurfaceLayout layout = layout_of(frames->sw_format);
    auto picture = std::make_shared<Picture>();
    picture->finish = finish_;
    Frame frame = frame_around(*decoded, layout);
    const bool copies = !turn.is_upright() || finish_->surfaces_out >= surfaces_;
    const CopyShape shape = copy_shape(turn, layout, frame);
    prepare_copies(turn, shape.bytes());
    if (copies) copy_upright(turn, layout, shape, frame, *picture);
    picture->ready = finish_->mark();
    if (copies) {
      copied_.push_back({std::move(decoded), finish_->mark()});
    } else {
      ++finish_->surfaces_out;
      picture->surface = std::move(decoded);
    }
    frame.ready = picture->ready.get();
    frame.storage = std::move(picture);
    return frame;
  }

 private:
  Frame frame_around(const AVFrame& decoded, const SurfaceLayout& layout) const {
    Frame frame;
    frame.format = layout.format;
    frame.device = Device::cuda(gpu_);
    // libav cuts hardware pictures at the right and below only.
    frame.info.width = decoded.width - static_cast<int>(decoded.crop_left);
    frame.info.height = decoded.height - static_cast<int>(decoded.crop_top);
    for (int p = 0; p < layout.planes; ++p) {
      const int shift = p == 0 ? 0 : layout.chroma_shift;
      const std::size_t columns = decoded.crop_left >> shift;
      const std::size_t rows = decoded.crop_top >> shift;
      const std::size_t samples = p == 1 && layout.planes == 2 ? 2 : 1;
      frame.planes[static_cast<std::size_t>(p)] = {
          decoded.data[p] + rows * static_cast<std::size_t>(decoded.linesize[p]) +
              columns * samples * static_cast<std::size_t>(layout.bytes),
          decoded.linesize[p]};
    }
    return frame;
  }

  // Surfaces whose copies are made go back; the copies of all but `most` are waited for.
  void drop_copied(std::size_t most) noexcept {
    while (!copied_.empty()) {
      Copied& oldest = copied_.front();
      if (copied_.size() > most) {
        cudaEventSynchronize(oldest.done.get());
      } else if (cudaEventQuery(oldest.done.get()) != cudaSuccess) {
        cudaGetLastError();  // "not ready" must not be taken for the next launch's failure
        return;
      }
      finish_->give_back(std::move(oldest.done));
      const auto gate = cuda::no_capture();
      copied_.pop_front();
    }
  }

  /// A picture of our own: planes below each other.
  struct CopyShape {
    int width, height, chroma_rows;
    std::int64_t pitch, rows;
    std::size_t bytes() const { return static_cast<std::size_t>(pitch * rows); }
  };
  static CopyShape copy_shape(const Orientation& turn, const SurfaceLayout& layout,
                              const Frame& frame) {
    CopyShape shape{};
    shape.width = turn.transpose ? frame.info.height : frame.info.width;
    shape.height = turn.transpose ? frame.info.width : frame.info.height;
    shape.pitch = static_cast<std::int64_t>((shape.width * layout.bytes + 255) / 256) * 256;
    shape.chroma_rows = (shape.height + (1 << layout.chroma_shift) - 1) >> layout.chroma_shift;
    shape.rows = shape.height + std::int64_t{layout.planes - 1} * shape.chroma_rows;
    return shape;
  }

  // Frames that the decoder cannot spare a surface for are copied: the pool gets the memory now,
  // not when the stream is under way.
  void prepare_copies(const Orientation& turn, std::size_t bytes) {
    if (bytes <= prepared_bytes_) return;
    prepared_bytes_ = bytes;
    std::vector<cuda::PooledBuffer> buffers;
    for (int i = turn.is_upright() ? surfaces_ : 0; i < held_frames_; ++i) {
      buffers.emplace_back(bytes);
    }
  }

  void copy_upright(const Orientation& turn, const SurfaceLayout& layout, const CopyShape& shape,
                    Frame& frame, Picture& picture) const {
    picture.copy = cuda::PooledBuffer(shape.bytes());
    auto* target = static_cast<std::uint8_t*>(picture.copy.data());
    for (int p = 0; p < layout.planes; ++p) {
      const int shift = p == 0 ? 0 : layout.chroma_shift;
      const int element = layout.bytes * (p == 1 && layout.planes == 2 ? 2 : 1);
      Plane& plane = frame.planes[static_cast<std::size_t>(p)];
      orient_plane_on_gpu(turn, plane, AV_CEIL_RSHIFT(frame.info.width, shift),
                          AV_CEIL_RSHIFT(frame.info.height, shift), element, target, shape.pitch,
                          finish_->stream());
      plane = {target, shape.pitch};
      target += shape.pitch * (p == 0 ? shape.height : shape.chroma_rows);
    }
    frame.info.width = shape.width;
    frame.info.height = shape.height;
  }

  struct Copied {
    AvFrame surface;
    cuda::Event done;
  };

  const int gpu_;
  const int held_frames_;
  int surfaces_ = 0;  // that frames may hold
  std::size_t prepared_bytes_ = 0;
  Reservation reservation_;
  std::deque<Copied> copied_;
  std::shared_ptr<FinishLine> finish_;
  AvBuffer device_;
};

}  // namespace

std::unique_ptr<GpuDecode> make_gpu_decode(int gpu, int held_frames, const DecoderNeed& need) {
  return std::make_unique<CudaDecode>(gpu, held_frames, need);
}

}  // namespace peregrine::video
