// SPDX-License-Identifier: Apache-2.0
extern "C" {
#include <libavutil/hwcontext.h>
#include <libavutil/hwcontext_cuda.h>
}

#include <mutex>
#include <vector>

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/cuda/handles.h"
#include "core/cuda/memory.h"
#include "peregrine/error.h"
#include "video/gpu_decode.h"

namespace peregrine::video {
namespace {

using AvBuffer = std::unique_ptr<AVBufferRef, AvDelete<av_buffer_unref>>;

CUcontext primary_context(int gpu) {
  CUDA_CHECK(cudaSetDevice(gpu));
  CUDA_CHECK(cudaFree(nullptr));  // the runtime makes the context when it is first needed
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  CUDA_CHECK(cudaGetDriverEntryPointByVersion("cuCtxGetCurrent", &function, 12000,
                                              cudaEnableDefault, &found));
  CUcontext context = nullptr;
  if (found != cudaDriverEntryPointSuccess ||
      reinterpret_cast<CUresult (*)(CUcontext*)>(function)(&context) != CUDA_SUCCESS) {
    throw Error(ErrorCode::kGpu,
                "CUDA does not name its context; 'peregrine doctor' checks the GPU");
  }
  return context;
}

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

/// The CUDA stream on which a decoder finishes its pictures, and the events behind them, which
/// frames borrow; lives as long as the last of them.
class FinishLine {
 public:
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
struct Surface {
  AvFrame decoded;            // the decoder's surface, until it is no longer read
  cuda::PooledBuffer turned;  // or an upright copy
  cuda::Event ready;
  std::shared_ptr<FinishLine> finish;
  ~Surface() {
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
  CudaDecode(int gpu, const DecoderNeed& need) : gpu_(gpu), reservation_(gpu, need) {
    const CUcontext context = primary_context(gpu);
    finish_ = std::make_shared<FinishLine>();
    device_.reset(av_hwdevice_ctx_alloc(AV_HWDEVICE_TYPE_CUDA));
    if (!device_) out_of_memory("a CUDA device of libav");
    auto* base = reinterpret_cast<AVHWDeviceContext*>(device_->data);
    auto* hardware = static_cast<AVCUDADeviceContext*>(base->hwctx);
    hardware->cuda_ctx = context;
    hardware->stream = finish_->stream();
    const int result = av_hwdevice_ctx_init(device_.get());
    if (result < 0) {
      throw Error(ErrorCode::kGpu,
                  fmt::format("libav cannot use cuda:{} ({}); 'peregrine doctor' checks NVDEC", gpu,
                              av_error_text(result)));
    }
  }

  AVBufferRef* device() const override { return device_.get(); }

  Frame wrap(AvFrame picture, const Orientation& turn) override {
    CUDA_CHECK(cudaSetDevice(gpu_));
    reservation_.release();
    const auto* frames = reinterpret_cast<const AVHWFramesContext*>(picture->hw_frames_ctx->data);
    const SurfaceLayout layout = layout_of(frames->sw_format);
    auto surface = std::make_shared<Surface>();
    surface->finish = finish_;
    Frame frame;
    frame.format = layout.format;
    frame.device = Device::cuda(gpu_);
    frame.info.width = picture->width;
    frame.info.height = picture->height;
    // libav cuts hardware pictures at the right and below only.
    for (int p = 0; p < layout.planes; ++p) {
      const int shift = p == 0 ? 0 : layout.chroma_shift;
      const std::size_t columns = picture->crop_left >> shift;
      const std::size_t rows = picture->crop_top >> shift;
      const std::size_t samples = p == 1 && layout.planes == 2 ? 2 : 1;
      frame.planes[static_cast<std::size_t>(p)] = {
          picture->data[p] + rows * static_cast<std::size_t>(picture->linesize[p]) +
              columns * samples * static_cast<std::size_t>(layout.bytes),
          picture->linesize[p]};
    }
    frame.info.width -= static_cast<int>(picture->crop_left);
    frame.info.height -= static_cast<int>(picture->crop_top);
    surface->decoded = std::move(picture);
    if (!turn.is_upright()) make_upright(turn, layout, frame, *surface);
    surface->ready = finish_->mark();
    frame.ready = surface->ready.get();
    frame.storage = std::move(surface);
    return frame;
  }

 private:
  void make_upright(const Orientation& turn, const SurfaceLayout& layout, Frame& frame,
                    Surface& surface) const {
    const int width = turn.transpose ? frame.info.height : frame.info.width;
    const int height = turn.transpose ? frame.info.width : frame.info.height;
    const auto pitch = static_cast<std::int64_t>((width * layout.bytes + 255) / 256) * 256;
    const auto chroma_rows = (height + (1 << layout.chroma_shift) - 1) >> layout.chroma_shift;
    const std::int64_t rows = height + std::int64_t{layout.planes - 1} * chroma_rows;
    surface.turned = cuda::PooledBuffer(static_cast<std::size_t>(pitch * rows));
    auto* target = static_cast<std::uint8_t*>(surface.turned.data());
    for (int p = 0; p < layout.planes; ++p) {
      const int shift = p == 0 ? 0 : layout.chroma_shift;
      const int element = layout.bytes * (p == 1 && layout.planes == 2 ? 2 : 1);
      Plane& plane = frame.planes[static_cast<std::size_t>(p)];
      orient_plane_on_gpu(turn, plane, AV_CEIL_RSHIFT(frame.info.width, shift),
                          AV_CEIL_RSHIFT(frame.info.height, shift), element, target, pitch,
                          finish_->stream());
      plane = {target, pitch};
      target += pitch * (p == 0 ? height : chroma_rows);
    }
    frame.info.width = width;
    frame.info.height = height;
  }

  const int gpu_;
  Reservation reservation_;
  std::shared_ptr<FinishLine> finish_;
  AvBuffer device_;
};

}  // namespace

std::unique_ptr<GpuDecode> make_gpu_decode(int gpu, const DecoderNeed& need) {
  return std::make_unique<CudaDecode>(gpu, need);
}

}  // namespace peregrine::video
