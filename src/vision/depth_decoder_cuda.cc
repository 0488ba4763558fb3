// SPDX-License-Identifier: Apache-2.0
// Depth maps come down as the model wrote them; only their range is computed.
#include <algorithm>

#include <fmt/format.h>

#include "core/cuda/copy.h"
#include "core/cuda/handles.h"
#include "peregrine/error.h"
#include "vision/decode_depth_cuda.h"
#include "vision/decoders.h"
#include "vision/decoders_cuda.h"

namespace peregrine::vision {
namespace {

TransferPoint maps_down(Crossing::kDown, "postprocess", "depth");

class GpuDepthDecoder final : public GpuOutputDecoder {
 public:
  GpuDepthDecoder(const TaskSpec& spec, std::span<const TensorSpec> outputs, int max_batch)
      : max_batch_(max_batch), output_(outputs, spec.boxes_output, {3, 4}) {
    check_depth_input(spec);
    check_depth_shape(spec, output_.shape());
    const auto pictures = static_cast<std::size_t>(max_batch);
    cells_ = static_cast<std::size_t>(output_.picture_size());
    maps_ = cuda::PinnedBuffer(pictures * cells_ * sizeof(float));
    ranges_ = cuda::DeviceBuffer(pictures * kDepthParts * sizeof(DepthRange));
    host_ranges_ = cuda::PinnedBuffer(ranges_.bytes());
  }

  void enqueue(std::span<const TensorView> outputs, std::span<const Letterbox> letterboxes,
               StreamHandle handle) override {
    check_batch(letterboxes.size(), max_batch_);
    const float* maps = output_.data(outputs, letterboxes.size());
    pictures_ = letterboxes.size();
    auto* stream = static_cast<cudaStream_t>(handle);
    launch_depth_ranges(maps, static_cast<int>(cells_), ranges_.as<DepthRange>(),
                        static_cast<int>(pictures_), stream);
    cuda::copy_down(maps_down, maps_.data(), maps, pictures_ * cells_ * sizeof(float), stream);
    cuda::copy_down(maps_down, host_ranges_.data(), ranges_.data(),
                    pictures_ * kDepthParts * sizeof(DepthRange), stream);
  }

  void read(int item, FrameResult& result) override {
    check_item(item, pictures_);
    DepthMap& map = result.depth;
    map = {};
    map.height = static_cast<int>(output_.shape()[output_.shape().size() - 2]);
    map.width = static_cast<int>(output_.shape().back());
    const float* first = maps_.as<const float>() + static_cast<std::size_t>(item) * cells_;
    map.values.assign(first, first + cells_);
    const auto* ranges = host_ranges_.as<const DepthRange>() + item * kDepthParts;
    DepthRange all = ranges[0];
    for (int part = 1; part < kDepthParts; ++part) {
      all = {std::min(all.low, ranges[part].low), std::max(all.high, ranges[part].high)};
    }
    if (all.low <= all.high) map.min = all.low, map.max = all.high;
  }

 private:
  const int max_batch_;
  const DeviceOutput output_;
  std::size_t cells_ = 0;     // of a map
  std::size_t pictures_ = 0;  // of the batch that was enqueued last
  cuda::DeviceBuffer ranges_;
  cuda::PinnedBuffer maps_, host_ranges_;
};

}  // namespace

std::unique_ptr<GpuOutputDecoder> make_gpu_depth_decoder(const TaskSpec& spec,
                                                         std::span<const TensorSpec> outputs,
                                                         int max_batch) {
  return std::make_unique<GpuDepthDecoder>(spec, outputs, max_batch);
}

}  // namespace peregrine::vision
