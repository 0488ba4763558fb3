// SPDX-License-Identifier: Apache-2.0
#include "vision/gpu_frames.h"

#include <vector>

#include "core/cuda/check.h"
#include "core/cuda/copy.h"
#include "core/cuda/handles.h"
#include "peregrine/error.h"

namespace peregrine::vision {
namespace {

constinit TransferPoint kUploads{Crossing::kUp, "preprocess", "pictures decoded on the CPU"};
constinit TransferPoint kDownloads{Crossing::kDown, "write", "pictures for drawing and encoding"};

struct PlaneSize {
  std::size_t row_bytes = 0, rows = 0;
};

PlaneSize plane_size(const Frame& frame, int plane) {
  const auto width = static_cast<std::size_t>(frame.info.width);
  const auto height = static_cast<std::size_t>(frame.info.height);
  const std::size_t half_width = (width + 1) / 2, half_height = (height + 1) / 2;
  switch (frame.format) {
    case PixelFormat::kYuv420p:
      return plane == 0 ? PlaneSize{width, height} : PlaneSize{half_width, half_height};
    case PixelFormat::kNv12:
      return plane == 0 ? PlaneSize{width, height} : PlaneSize{2 * half_width, half_height};
    case PixelFormat::kP010:
      return plane == 0 ? PlaneSize{2 * width, height} : PlaneSize{4 * half_width, half_height};
    case PixelFormat::kRgb24: return {3 * width, height};
    case PixelFormat::kYuv444p:
    case PixelFormat::kGray8: break;
  }
  return {width, height};
}

std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

// Frames of one layout behind one another, rows aligned; sets the planes of `frame` to it.
std::size_t lay_out(Frame& frame, std::uint8_t* base) {
  std::size_t at = 0;
  for (int p = 0; p < plane_count(frame.format); ++p) {
    const PlaneSize size = plane_size(frame, p);
    const std::size_t pitch = aligned(size.row_bytes);
    frame.planes[static_cast<std::size_t>(p)] = {base + at, static_cast<std::int64_t>(pitch)};
    at += pitch * size.rows;
  }
  return at;
}

std::uint8_t* writable(const Plane& plane) { return const_cast<std::uint8_t*>(plane.data); }

void wait_until_ready(const Frame& frame, cudaStream_t stream) {
  if (!frame.ready) return;
  CUDA_CHECK(cudaStreamWaitEvent(stream, static_cast<cudaEvent_t>(frame.ready)));
}

__global__ void round_to_bytes(const std::uint8_t* source, std::int64_t source_stride,
                               std::uint8_t* target, std::int64_t target_stride, int samples,
                               int rows) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;
  if (x >= samples || y >= rows) return;
  const unsigned value = reinterpret_cast<const std::uint16_t*>(source + y * source_stride)[x];
  target[y * target_stride + x] = static_cast<std::uint8_t>(min((value + 128) >> 8, 255u));
}

/// Pinned pictures that are used again once nobody holds them. Frames may outlive it.
class PinnedPictures {
 public:
  std::shared_ptr<cuda::PinnedBuffer> take(std::size_t bytes) {
    for (auto& each : all_) {
      if (each.use_count() == 1 && each->bytes() >= bytes) return each;
    }
    std::erase_if(all_, [](const auto& each) { return each.use_count() == 1; });  // too small
    return all_.emplace_back(std::make_shared<cuda::PinnedBuffer>(bytes));
  }

 private:
  std::vector<std::shared_ptr<cuda::PinnedBuffer>> all_;
};

class Download {
 public:
  Frame operator()(const Frame& frame) {
    if (frame.device.is_cpu()) return frame;
    CUDA_CHECK(cudaSetDevice(frame.device.index));
    if (!stream_) stream_ = cuda::make_stream();
    wait_until_ready(frame, stream_.get());
    const bool deep = frame.format == PixelFormat::kP010;
    const Frame source = deep ? nv12_copy(frame, stream_.get()) : frame;
    Frame host = source;
    const auto memory = pictures_.take(lay_out(host, nullptr));
    lay_out(host, memory->as<std::uint8_t>());
    host.device = Device::cpu();
    host.ready = nullptr;
    host.storage = memory;
    for (int p = 0; p < plane_count(host.format); ++p) {
      const PlaneSize size = plane_size(host, p);
      const Plane& from = source.planes[static_cast<std::size_t>(p)];
      const Plane& to = host.planes[static_cast<std::size_t>(p)];
      cuda::copy_down_2d(kDownloads, writable(to), static_cast<std::size_t>(to.stride), from.data,
                         static_cast<std::size_t>(from.stride), size.row_bytes, size.rows,
                         stream_.get());
    }
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    return host;
  }

 private:
  cuda::Stream stream_;
  PinnedPictures pictures_;
};

}  // namespace

Frame on_gpu(const Frame& frame, Device device, StreamHandle stream) {
  if (frame.empty()) throw Error(ErrorCode::kInvalidArgument, "a frame without pixels");
  if (frame.device == device) return frame;
  if (!frame.device.is_cpu()) {
    throw Error(ErrorCode::kInvalidArgument,
                "a frame on " + to_string(frame.device) + " for a model on " + to_string(device));
  }
  struct Copy {
    Frame original;
    cuda::PooledBuffer memory;
  };
  Frame copy = frame;
  auto held = std::make_shared<Copy>();
  held->original = frame;
  held->memory = cuda::PooledBuffer(lay_out(copy, nullptr));
  lay_out(copy, static_cast<std::uint8_t*>(held->memory.data()));
  for (int p = 0; p < plane_count(frame.format); ++p) {
    const PlaneSize size = plane_size(frame, p);
    const Plane& from = frame.planes[static_cast<std::size_t>(p)];
    const Plane& to = copy.planes[static_cast<std::size_t>(p)];
    cuda::copy_up_2d(kUploads, writable(to), static_cast<std::size_t>(to.stride), from.data,
                     static_cast<std::size_t>(from.stride), size.row_bytes, size.rows,
                     static_cast<cudaStream_t>(stream));
  }
  copy.device = device;
  copy.storage = std::move(held);
  return copy;
}

Frame nv12_copy(const Frame& frame, StreamHandle stream) {
  const bool deep = frame.format == PixelFormat::kP010;
  if (frame.device.is_cpu() || (!deep && frame.format != PixelFormat::kNv12)) {
    throw Error(ErrorCode::kInvalidArgument, std::string("a frame of ") + to_string(frame.format) +
                                                 " on " + to_string(frame.device) +
                                                 " is not copied to NV12");
  }
  const auto on = static_cast<cudaStream_t>(stream);
  wait_until_ready(frame, on);
  Frame copy = frame;
  copy.format = PixelFormat::kNv12;
  copy.ready = nullptr;
  const auto memory = std::make_shared<cuda::PooledBuffer>(lay_out(copy, nullptr));
  lay_out(copy, static_cast<std::uint8_t*>(memory->data()));
  copy.storage = memory;
  for (std::size_t p = 0; p < 2; ++p) {
    const PlaneSize size = plane_size(copy, static_cast<int>(p));
    const Plane &from = frame.planes[p], &to = copy.planes[p];
    if (!deep) {
      CUDA_CHECK(cudaMemcpy2DAsync(writable(to), static_cast<std::size_t>(to.stride), from.data,
                                   static_cast<std::size_t>(from.stride), size.row_bytes, size.rows,
                                   cudaMemcpyDeviceToDevice, on));
      continue;
    }
    const dim3 blocks((static_cast<unsigned>(size.row_bytes) + 255) / 256,
                      static_cast<unsigned>(size.rows));
    round_to_bytes<<<blocks, 256, 0, on>>>(from.data, from.stride, writable(to), to.stride,
                                           static_cast<int>(size.row_bytes),
                                           static_cast<int>(size.rows));
    CUDA_CHECK(cudaGetLastError());
  }
  return copy;
}

std::function<Frame(const Frame&)> make_picture_download() {
  auto download = std::make_shared<Download>();
  return [download](const Frame& frame) { return (*download)(frame); };
}

}  // namespace peregrine::vision
