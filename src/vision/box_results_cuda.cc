// SPDX-License-Identifier: Apache-2.0
#include "vision/box_results_cuda.h"

#include <algorithm>

#include "core/cuda/check.h"
#include "core/cuda/copy.h"

namespace peregrine::vision {
namespace {

TransferPoint results_down(Crossing::kDown, "postprocess", "results");
TransferPoint filter_up(Crossing::kUp, "postprocess", "class filter");

std::size_t extra_bytes(const SuppressParams& params) {
  return params.oriented ? sizeof(OrientedBox)
                         : static_cast<std::size_t>(params.keypoint_count) * sizeof(Keypoint);
}

}  // namespace

GpuBoxResults::GpuBoxResults(const SuppressParams& params, int entries,
                             const DecodeOptions& options, int max_batch)
    : params_(params), stream_(cuda::make_stream()) {
  const auto pictures = static_cast<std::size_t>(max_batch);
  const std::size_t places = pictures * static_cast<std::size_t>(entries);
  keys_ = cuda::DeviceBuffer(places * sizeof(std::uint64_t));
  classes_ = cuda::DeviceBuffer(places * sizeof(std::int32_t));
  counts_ = cuda::DeviceBuffer(pictures * sizeof(std::uint32_t));
  CUDA_CHECK(cudaMemsetAsync(counts_.data(), 0, counts_.bytes(), stream_.get()));
  params_.lists = {entries, keys_.as<std::uint64_t>(), classes_.as<std::int32_t>(),
                   counts_.as<std::uint32_t>()};
  params_.limit = std::clamp(options.max_detections, 0, entries);
  params_.layout = block_layout(params_.limit, extra_bytes(params));
  blocks_ = cuda::DeviceBuffer(pictures * params_.layout.block_bytes());
  host_blocks_ = cuda::PinnedBuffer(blocks_.bytes());
  rests_ = cuda::DeviceBuffer(pictures * params_.layout.rest_bytes());
  host_rest_ = cuda::PinnedBuffer(params_.layout.rest_bytes());
  kept_ = cuda::DeviceBuffer(pictures * kept_bytes(params.oriented, params_.limit));
  params_.blocks = blocks_.as<std::uint8_t>();
  params_.rests = rests_.as<std::uint8_t>();
  params_.kept = kept_.as<std::uint8_t>();
  letterboxes_.reserve(pictures);
  prepare_suppress();
  CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
}

void GpuBoxResults::suppress(const float* data, std::span<const Letterbox> letterboxes,
                             cudaStream_t stream) {
  letterboxes_.assign(letterboxes.begin(), letterboxes.end());
  params_.raw.data = data;
  for (std::size_t first = 0; first < letterboxes.size(); first += kPicturesALaunch) {
    const std::size_t count = std::min<std::size_t>(letterboxes.size() - first, kPicturesALaunch);
    params_.first_picture = static_cast<int>(first);
    std::copy_n(letterboxes.begin() + static_cast<std::ptrdiff_t>(first), count,
                params_.letterboxes);
    launch_suppress(params_, static_cast<int>(count), stream);
  }
}

void GpuBoxResults::copy_down(cudaStream_t stream) {
  cuda::copy_down(results_down, host_blocks_.data(), blocks_.data(),
                  letterboxes_.size() * params_.layout.block_bytes(), stream);
}

const std::uint8_t* GpuBoxResults::block_of(int item) const {
  return host_blocks_.as<const std::uint8_t>() +
         static_cast<std::size_t>(item) * params_.layout.block_bytes();
}

void GpuBoxResults::read(int item, Detections& out, std::vector<int>& anchors) {
  const int count = reinterpret_cast<const BlockHeader*>(block_of(item))->count;
  if (count > params_.layout.rows_in_block) fetch_rest(item, count);
  out = {};
  out.keypoints_per_object = params_.keypoint_count;
  anchors.clear();
  const auto objects = static_cast<std::size_t>(count);
  out.boxes.reserve(objects);
  out.scores.reserve(objects);
  out.classes.reserve(objects);
  out.keypoints.reserve(objects * static_cast<std::size_t>(params_.keypoint_count));
  for (int i = 0; i < count; ++i) {
    add(params_.layout.row(block_of(item), host_rest_.as<const std::uint8_t>(), i), out, anchors);
  }
}

void GpuBoxResults::fetch_rest(int item, int count) {
  const BlockLayout& layout = params_.layout;
  cuda::copy_down(results_down, host_rest_.data(),
                  rests_.as<std::uint8_t>() + static_cast<std::size_t>(item) * layout.rest_bytes(),
                  static_cast<std::size_t>(count - layout.rows_in_block) *
                      static_cast<std::size_t>(layout.row_bytes),
                  stream_.get());
  CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
}

void GpuBoxResults::add(const std::uint8_t* bytes, Detections& out,
                        std::vector<int>& anchors) const {
  const auto& row = *reinterpret_cast<const BoxRow*>(bytes);
  out.boxes.push_back(row.box);
  out.scores.push_back(row.score);
  out.classes.push_back(row.class_id);
  anchors.push_back(row.anchor);
  bytes += sizeof(BoxRow);
  if (params_.oriented) {
    out.oriented.push_back(*reinterpret_cast<const OrientedBox*>(bytes));
  } else if (params_.keypoint_count != 0) {
    const auto* points = reinterpret_cast<const Keypoint*>(bytes);
    out.keypoints.insert(out.keypoints.end(), points, points + params_.keypoint_count);
  }
}

cuda::DeviceBuffer upload_filter(const std::vector<std::uint8_t>& allowed) {
  if (allowed.empty()) return {};
  const cuda::Stream stream = cuda::make_stream();
  cuda::DeviceBuffer buffer(allowed.size());
  cuda::copy_up(filter_up, buffer.data(), allowed.data(), allowed.size(), stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  return buffer;
}

}  // namespace peregrine::vision
