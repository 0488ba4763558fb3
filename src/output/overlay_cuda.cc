// SPDX-License-Identifier: Apache-2.0
#include "output/overlay_cuda.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/cuda/copy.h"
#include "core/cuda/device_info.h"
#include "core/cuda/handles.h"
#include "output/overlay_kernel.h"
#include "output/overlay_layout.h"
#include "output/overlay_pack.h"
#include "peregrine/error.h"

namespace peregrine::output {
namespace {

TransferPoint list_up{Crossing::kUp, "overlay", "display list"};
TransferPoint letters_up{Crossing::kUp, "overlay", "letters"};

// Enough for a crowd: growing costs a wait for the device.
constexpr std::size_t kListBytes = 256 << 10;
constexpr std::size_t kAtlasBytes = 256 << 10;

void require_drawable(const Frame& frame, const DevicePicture& to) {
  if (frame.empty() || frame.device.is_cpu() || frame.format != PixelFormat::kNv12) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a picture in format {} on {} cannot be drawn on by the GPU: it must "
                            "be NV12 in device memory",
                            to_string(frame.format), to_string(frame.device)));
  }
  const auto even = [](const void* data, std::int64_t stride) {
    return data != nullptr && reinterpret_cast<std::uintptr_t>(data) % 2 == 0 && stride % 2 == 0;
  };
  if (!even(frame.planes[0].data, frame.planes[0].stride) ||
      !even(frame.planes[1].data, frame.planes[1].stride) || !even(to.luma, to.luma_stride) ||
      !even(to.chroma, to.chroma_stride)) {
    throw Error(ErrorCode::kInvalidArgument,
                "a picture that the GPU draws on needs both planes, with even addresses and "
                "strides");
  }
}

std::size_t grown(std::size_t bytes, std::size_t wanted) {
  while (bytes < wanted) bytes *= 2;
  return bytes;
}

}  // namespace

class GpuOverlay::Impl {
 public:
  explicit Impl(const std::vector<std::string>& labels) : layout_(labels), atlas_(kAtlasBytes) {
    for (Slot& slot : slots_) slot.reserve(kListBytes);
  }

  void draw(const Frame& frame, const FrameResult& result, const DevicePicture& to,
            cudaStream_t stream) {
    require_drawable(frame, to);
    pack_.pack(layout_.lay_out(result, frame.info.width, frame.info.height), frame);
    upload_letters(stream);
    Slot& slot = slots_[next_++ % slots_.size()];
    slot.upload(pack_.bytes(), stream);
    if (frame.ready) {
      CUDA_CHECK(cudaStreamWaitEvent(stream, static_cast<cudaEvent_t>(frame.ready)));
    }
    launch_overlay(pack_.at(slot.device.data(), atlas_.as<std::uint8_t>()),
                   {frame.planes[0], frame.planes[1]}, to, stream);
  }

 private:
  // One list on its way. Its device memory is read before the next list comes: one stream.
  struct Slot {
    cuda::PinnedBuffer host;
    cuda::DeviceBuffer device;
    cuda::Event uploaded;

    void reserve(std::size_t bytes) {
      if (bytes <= host.bytes()) return;
      const std::size_t size = grown(std::max(host.bytes(), kListBytes), bytes);
      host = cuda::PinnedBuffer(size);
      device = cuda::DeviceBuffer(size);
      if (!uploaded) uploaded = cuda::make_event();
    }

    void upload(std::span<const std::byte> bytes, cudaStream_t stream) {
      CUDA_CHECK(cudaEventSynchronize(uploaded.get()));  // the memory may still be on its way up
      reserve(bytes.size());
      if (bytes.empty()) return;
      std::memcpy(host.data(), bytes.data(), bytes.size());
      cuda::copy_up(list_up, device.data(), host.data(), bytes.size(), stream);
      CUDA_CHECK(cudaEventRecord(uploaded.get(), stream));
    }
  };

  // Only what the atlas has grown by: letters come up once.
  void upload_letters(cudaStream_t stream) {
    const std::span<const std::uint8_t> pixels = layout_.atlas();
    if (pixels.size() > atlas_.bytes()) {
      CUDA_CHECK(cudaStreamSynchronize(stream));  // kernels read the old one
      atlas_ = cuda::DeviceBuffer(grown(atlas_.bytes(), pixels.size()));
      letters_ = 0;
    }
    if (pixels.size() == letters_) return;
    cuda::copy_up(letters_up, atlas_.as<std::uint8_t>() + letters_, pixels.data() + letters_,
                  pixels.size() - letters_, stream);
    // Pageable memory, and it moves when it grows.
    CUDA_CHECK(cudaStreamSynchronize(stream));
    letters_ = pixels.size();
  }

  OverlayLayout layout_;
  OverlayPack pack_;
  cuda::DeviceBuffer atlas_;
  std::size_t letters_ = 0;  // bytes of the atlas that are on the device
  std::array<Slot, 2> slots_;
  std::size_t next_ = 0;
};

GpuOverlay::GpuOverlay(const std::vector<std::string>& labels) {
  std::string why;
  if (cuda::device_count(&why) == 0) {
    throw Error(ErrorCode::kGpu, "drawing on a GPU needs one: " + why);
  }
  impl_ = std::make_unique<Impl>(labels);
}
GpuOverlay::~GpuOverlay() = default;

void GpuOverlay::draw(const Frame& frame, const FrameResult& result, const DevicePicture& to,
                      StreamHandle stream) {
  impl_->draw(frame, result, to, static_cast<cudaStream_t>(stream));
}

}  // namespace peregrine::output
