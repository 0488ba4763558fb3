// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "core/cuda/check.h"
#include "core/cuda/handles.h"
#include "output/annotator.h"
#include "output/overlay_cuda.h"
#include "vision/gpu_frames.h"

namespace peregrine::output {
namespace {

class GpuAnnotator final : public Annotator {
 public:
  explicit GpuAnnotator(const std::vector<std::string>& labels)
      : labels_(labels),
        on_host_(make_cpu_annotator(labels)),
        download_(vision::make_picture_download()) {}

  Frame draw(const Frame& frame, const FrameResult& result) override {
    const bool drawable = frame.format == PixelFormat::kNv12 || frame.format == PixelFormat::kP010;
    if (frame.device.is_cpu() || !drawable) return on_host_->render(download_(frame), result);
    start_on(frame.device);
    // The surface is not ours to draw on: other sinks may read it.
    Frame drawn = vision::nv12_copy(frame, stream_.get());
    overlay_->draw(drawn, result, writable(drawn), stream_.get());
    CUDA_CHECK(cudaEventRecord(drawn_.get(), stream_.get()));
    drawn.ready = drawn_.get();
    return drawn;
  }
  Frame to_host(const Frame& frame) override { return download_(frame); }

 private:
  void start_on(Device device) {
    CUDA_CHECK(cudaSetDevice(device.index));
    if (stream_) return;
    stream_ = cuda::make_stream();
    drawn_ = cuda::make_event();
    overlay_ = std::make_unique<GpuOverlay>(labels_);
  }

  static DevicePicture writable(const Frame& frame) {
    const auto own = [](const Plane& plane) { return const_cast<std::uint8_t*>(plane.data); };
    return {own(frame.planes[0]), frame.planes[0].stride, own(frame.planes[1]),
            frame.planes[1].stride};
  }

  const std::vector<std::string> labels_;
  const std::unique_ptr<Annotator> on_host_;
  const std::function<Frame(const Frame&)> download_;
  cuda::Stream stream_;
  cuda::Event drawn_;
  std::unique_ptr<GpuOverlay> overlay_;
};

}  // namespace

std::unique_ptr<Annotator> make_gpu_annotator(const std::vector<std::string>& labels) {
  return std::make_unique<GpuAnnotator>(labels);
}

}  // namespace peregrine::output
