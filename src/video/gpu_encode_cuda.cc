// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/check.h"
#include "core/cuda/copy.h"
#include "core/cuda/handles.h"
#include "video/gpu_encode.h"
#include "video/libav_cuda.h"

namespace peregrine::video {
namespace {

constinit TransferPoint uploads{Crossing::kUp, "write", "pictures for NVENC, fitted on the CPU"};

// What NVENC works on (`surfaces` of libav's encoder) and what is filled meanwhile; made
// beforehand.
constexpr int kSurfaces = 6;

class CudaEncode final : public GpuEncode {
 public:
  CudaEncode(int gpu, int width, int height)
      : gpu_(gpu), device_(make_av_cuda_device(gpu, stream_.get())) {
    surfaces_.reset(av_hwframe_ctx_alloc(device_.get()));
    if (!surfaces_) out_of_memory("surfaces for NVENC");
    auto* context = reinterpret_cast<AVHWFramesContext*>(surfaces_->data);
    context->format = AV_PIX_FMT_CUDA;
    context->sw_format = AV_PIX_FMT_NV12;
    context->width = width;
    context->height = height;
    context->initial_pool_size = kSurfaces;
    const auto gate = no_capture();
    if (av_hwframe_ctx_init(surfaces_.get()) < 0) out_of_memory("surfaces for NVENC");
  }
  ~CudaEncode() override {
    const auto gate = no_capture();
    surfaces_.reset();
  }

  AVBufferRef* surfaces() const override { return surfaces_.get(); }

  AvFrame load(const Frame& frame) override {
    AvFrame surface = take();
    if (frame.ready) {
      CUDA_CHECK(cudaStreamWaitEvent(stream_.get(), static_cast<cudaEvent_t>(frame.ready)));
    }
    const std::size_t width = frame.info.width, height = frame.info.height;
    const std::size_t chroma_width = (width + 1) & ~std::size_t{1};
    copy(*surface, 0, 0, 0, frame.planes[0].data, frame.planes[0].stride, width, height);
    copy(*surface, 1, 0, 0, frame.planes[1].data, frame.planes[1].stride, chroma_width,
         (height + 1) / 2);
    // As on the CPU: chroma has been rounded up already.
    const std::uint8_t* luma = surface->data[0];
    const std::int64_t stride = surface->linesize[0];
    if (static_cast<std::size_t>(surface->width) > width) {
      copy(*surface, 0, width, 0, luma + width - 1, stride, 1, height);
    }
    if (static_cast<std::size_t>(surface->height) > height) {
      copy(*surface, 0, 0, height, luma + stride * static_cast<std::int64_t>(height - 1), stride,
           chroma_width, 1);
    }
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    return surface;
  }

  AvFrame upload(const AVFrame& picture) override {
    AvFrame surface = take();
    for (int p = 0; p < 2; ++p) {
      cuda::copy_up_2d(uploads, surface->data[p], static_cast<std::size_t>(surface->linesize[p]),
                       picture.data[p], static_cast<std::size_t>(picture.linesize[p]),
                       static_cast<std::size_t>(picture.width),
                       static_cast<std::size_t>(p == 0 ? picture.height : picture.height / 2),
                       stream_.get());
    }
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    return surface;
  }

  std::shared_lock<std::shared_mutex> no_capture() const override { return cuda::no_capture(); }

 private:
  AvFrame take() const {
    CUDA_CHECK(cudaSetDevice(gpu_));
    AvFrame surface = make_av_frame();
    if (av_hwframe_get_buffer(surfaces_.get(), surface.get(), 0) < 0) {
      out_of_memory("a surface for NVENC");
    }
    return surface;
  }

  // `width` bytes of `height` rows to column and row `x`, `y` of a plane of the surface.
  void copy(const AVFrame& surface, int plane, std::size_t x, std::size_t y, const void* from,
            std::int64_t stride, std::size_t width, std::size_t height) const {
    const auto pitch = static_cast<std::size_t>(surface.linesize[plane]);
    CUDA_CHECK(cudaMemcpy2DAsync(surface.data[plane] + y * pitch + x, pitch, from,
                                 static_cast<std::size_t>(stride), width, height,
                                 cudaMemcpyDeviceToDevice, stream_.get()));
  }

  const int gpu_;
  const cuda::Stream stream_ = cuda::make_stream();
  const AvBuffer device_;
  AvBuffer surfaces_;
};

}  // namespace

std::unique_ptr<GpuEncode> make_gpu_encode(int gpu, int width, int height) {
  CUDA_CHECK(cudaSetDevice(gpu));
  return std::make_unique<CudaEncode>(gpu, width, height);
}

}  // namespace peregrine::video
