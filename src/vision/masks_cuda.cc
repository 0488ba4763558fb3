// SPDX-License-Identifier: Apache-2.0
#include "vision/masks_cuda.h"

#include <algorithm>
#include <cstring>

#include "core/cuda/check.h"
#include "core/cuda/copy.h"

namespace peregrine::vision {
namespace {

TransferPoint masks_down(Crossing::kDown, "postprocess", "masks");

constexpr std::size_t kWord = sizeof(std::uint32_t);
// A mask of 400 columns that is entered and left once in each takes 3.6 KiB.
constexpr std::size_t kArenaBytes = 4 << 20, kArenaBytesAPicture = 512 << 10;
// What comes down with the results in any case: for about ten such masks.
constexpr std::size_t kFirstBytesAPicture = 32 << 10;
// Strips that are rendered again go together, as many as surely find room.
constexpr int kStripsAgain = 16;
constexpr std::size_t kAgainWords = kArenaHeaderWords + std::size_t{kStripsAgain} * kMostStripWords;

// Behind the last word that has been claimed.
std::uint64_t end_of(const cuda::PinnedBuffer& arena) {
  std::uint64_t claimed = 0;
  std::memcpy(&claimed, arena.data(), sizeof(claimed));
  return kArenaHeaderWords + claimed;
}

// Calls `f` with each strip's header and edges.
template <typename F>
void for_each_strip(const cuda::PinnedBuffer& arena, std::uint64_t end, F&& f) {
  const auto* words = arena.as<const std::uint32_t>();
  for (std::uint64_t at = kArenaHeaderWords; at + kStripWords <= end;) {
    StripHeader header;
    std::memcpy(&header, words + at, sizeof(header));
    if (header.object == kArenaEnd) return;
    f(header, words + at + kStripWords);
    at += kStripWords + header.edges;
  }
}

}  // namespace

GpuMasks::GpuMasks(const TaskSpec& spec, const Shape& shape, int most_rows, int max_batch)
    : stream_(cuda::make_stream()) {
  CUDA_CHECK(cudaGetDevice(&device_));
  const auto pictures = static_cast<std::size_t>(max_batch);
  arena_ = cuda::DeviceBuffer(kArenaBytes + kArenaBytesAPicture * pictures);
  host_arena_ = cuda::PinnedBuffer(arena_.bytes());
  strips_before_ = cuda::DeviceBuffer(sizeof(std::int32_t) * pictures *
                                      (static_cast<std::size_t>(most_rows) + 1));
  again_ = cuda::DeviceBuffer(kAgainWords * kWord);
  host_again_ = cuda::PinnedBuffer(again_.bytes());
  strips_.resize(pictures);
  params_.coefficients = spec.mask_coefficients;
  params_.field = {spec.input.width, spec.input.height, static_cast<int>(shape[3]),
                   static_cast<int>(shape[2])};
  params_.strips_before = strips_before();
  params_.arena = {arena_.as<std::uint32_t>(), arena_.bytes() / kWord};
}

void GpuMasks::enqueue(std::span<const Letterbox> letterboxes, cudaStream_t stream) {
  pictures_ = letterboxes.size();
  indexed_ = false;
  for (std::size_t first = 0; first < pictures_; first += kPicturesALaunch) {
    const std::size_t count = std::min<std::size_t>(pictures_ - first, kPicturesALaunch);
    params_.first_picture = static_cast<int>(first);
    std::copy_n(letterboxes.begin() + static_cast<std::ptrdiff_t>(first), count,
                params_.letterboxes);
    launch_masks(params_, static_cast<int>(count), stream);
  }
  const std::size_t bytes = std::min(kFirstBytesAPicture * pictures_, arena_.bytes());
  cuda::copy_down(masks_down, host_arena_.data(), arena_.data(), bytes, stream);
  fetched_ = bytes / kWord;
}

void GpuMasks::index_strips() {
  if (indexed_) return;
  const std::uint64_t end = std::min(end_of(host_arena_), params_.arena.capacity);
  if (end > fetched_) {
    cuda::copy_down(masks_down, host_arena_.as<std::uint32_t>() + fetched_,
                    params_.arena.words + fetched_, (end - fetched_) * kWord, stream_.get());
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    fetched_ = end;
  }
  for (std::size_t picture = 0; picture < pictures_; ++picture) strips_[picture].clear();
  for_each_strip(host_arena_, end, [&](const StripHeader& header, const std::uint32_t* edges) {
    strips_[header.picture].push_back({header.object, header.strip, edges, header.edges});
  });
  indexed_ = true;
}

void GpuMasks::read(int item, std::span<const Box> boxes, std::span<const int> anchors,
                    const Letterbox& letterbox, std::vector<Mask>& masks) {
  index_strips();
  first_strip_.assign(1, 0);
  for (const Box& box : boxes) {
    first_strip_.push_back(first_strip_.back() +
                           mask_strips(mask_columns(params_.field, box, letterbox),
                                       mask_rows(params_.field, box, letterbox)));
  }
  ordered_.assign(static_cast<std::size_t>(first_strip_.back()), {});
  for (const Strip& strip : strips_[static_cast<std::size_t>(item)]) {
    ordered_[static_cast<std::size_t>(first_strip_[strip.object]) + strip.strip] = strip;
  }
  masks.reserve(boxes.size());
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const auto first = ordered_.begin() + first_strip_[i];
    const auto last = ordered_.begin() + first_strip_[i + 1];
    edges_.clear();
    if (std::all_of(first, last, [](const Strip& strip) { return strip.edges != nullptr; })) {
      for (auto strip = first; strip != last; ++strip) {
        edges_.insert(edges_.end(), strip->edges, strip->edges + strip->count);
      }
    } else {
      render_again(item, boxes[i], anchors[i], static_cast<int>(last - first), letterbox);
    }
    // Below the first strips lie others, whose pixels stand between theirs.
    masks.push_back(
        to_mask(strips_down(mask_rows(params_.field, boxes[i], letterbox)) <= 1, letterbox));
  }
}

void GpuMasks::render_again(int item, const Box& box, int anchor, int strips,
                            const Letterbox& letterbox) {
  CUDA_CHECK(cudaSetDevice(device_));  // answers may be read by another thread
  MaskParams params = params_;
  params.first_picture = item;
  params.letterboxes[0] = letterbox;
  params.arena = {again_.as<std::uint32_t>(), kAgainWords};
  for (int first = 0; first < strips; first += kStripsAgain) {
    const int count = std::min(strips - first, kStripsAgain);
    CUDA_CHECK(cudaMemsetAsync(again_.data(), 0, kArenaHeaderWords * kWord, stream_.get()));
    launch_mask_strips(params, {box, anchor, first, count}, stream_.get());
    cuda::copy_down(masks_down, host_again_.data(), again_.data(), kArenaHeaderWords * kWord,
                    stream_.get());
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    const std::uint64_t end = end_of(host_again_);
    cuda::copy_down(masks_down, host_again_.data(), again_.data(), end * kWord, stream_.get());
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    ordered_again_.assign(static_cast<std::size_t>(count), {});
    for_each_strip(host_again_, end, [&](const StripHeader& header, const std::uint32_t* edges) {
      ordered_again_[header.strip - static_cast<std::uint32_t>(first)] = {edges, header.edges};
    });
    for (const std::span<const std::uint32_t> edges : ordered_again_) {
      edges_.insert(edges_.end(), edges.begin(), edges.end());
    }
  }
}

Mask GpuMasks::to_mask(bool in_order, const Letterbox& letterbox) {
  if (!in_order) std::sort(edges_.begin(), edges_.end());
  Mask mask;
  mask.width = letterbox.source_width;
  mask.height = letterbox.source_height;
  const std::uint32_t pixels =
      static_cast<std::uint32_t>(mask.width) * static_cast<std::uint32_t>(mask.height);
  mask.counts.reserve(edges_.size() + 1);
  std::uint32_t from = 0;
  for (std::size_t i = 0; i < edges_.size(); ++i) {
    if (i + 1 < edges_.size() && edges_[i] == edges_[i + 1]) {
      ++i;  // one column closes where the next one opens
      continue;
    }
    mask.counts.push_back(edges_[i] - from);
    from = edges_[i];
  }
  if (from < pixels) mask.counts.push_back(pixels - from);
  return mask;
}

}  // namespace peregrine::vision
