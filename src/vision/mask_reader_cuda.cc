// SPDX-License-Identifier: Apache-2.0
#include "vision/mask_reader_cuda.h"

#include <algorithm>

#include "core/cuda/check.h"
#include "core/cuda/copy.h"
#include "vision/nms_cuda.h"
#include "vision/run_writer.h"

namespace peregrine::vision {
namespace {

TransferPoint masks_down(Crossing::kDown, "postprocess", "masks");

constexpr std::size_t kWord = sizeof(std::uint32_t);
// 20 objects of 400 x 400 pixels take 400 KiB.
constexpr std::size_t kArenaBytes = 8 << 20, kArenaBytesAPicture = 1 << 20;
// What comes down with the results in any case: for a handful of objects of the usual size.
constexpr std::size_t kFirstBytesAPicture = 64 << 10;
constexpr std::size_t kStripBytes = 1 << 20;

/// Bits of a box, column by column, to runs over the whole source.
class BitReader {
 public:
  BitReader(const MaskAxis& columns, const MaskAxis& rows, const Letterbox& letterbox)
      : rows_(rows), height_(letterbox.source_height), right_(letterbox.source_width) {
    mask_.width = letterbox.source_width;
    mask_.height = letterbox.source_height;
    right_ -= columns.end;
    runs_.add(false, height_ * columns.begin);
  }
  void add_columns(const std::uint32_t* words, int count) {
    for (int c = 0; c < count; ++c) {
      runs_.add(false, rows_.begin);
      for (int row = 0; row < rows_.size(); row += 32) {
        runs_.add_bits(*words++, std::min(rows_.size() - row, 32));
      }
      runs_.add(false, height_ - rows_.end);
    }
  }
  Mask finish() {
    runs_.add(false, height_ * right_);
    runs_.finish();
    return std::move(mask_);
  }

 private:
  const MaskAxis rows_;
  const std::int64_t height_;
  std::int64_t right_;  // columns right of the box
  Mask mask_;
  RunWriter runs_{mask_.counts};
};

}  // namespace

GpuMasks::GpuMasks(const TaskSpec& spec, const Shape& shape, int most_rows, int max_batch)
    : field_{spec.input.width, spec.input.height, static_cast<int>(shape[3]),
             static_cast<int>(shape[2])},
      stream_(cuda::make_stream()) {
  CUDA_CHECK(cudaGetDevice(&device_));
  const auto pictures = static_cast<std::size_t>(max_batch);
  arena_ = cuda::DeviceBuffer(kArenaBytes + kArenaBytesAPicture * pictures);
  host_arena_ = cuda::PinnedBuffer(arena_.bytes());
  used_ = cuda::DeviceBuffer(sizeof(unsigned long long));
  places_ =
      cuda::DeviceBuffer(sizeof(MaskPlace) * pictures * (static_cast<std::size_t>(most_rows) + 1));
  strip_ = cuda::DeviceBuffer(kStripBytes);
  host_strip_ = cuda::PinnedBuffer(kStripBytes);
}

MaskSpace GpuMasks::space() {
  MaskSpace space;
  space.field = field_;
  space.arena = arena_.as<std::uint32_t>();
  space.capacity = arena_.bytes() / kWord;
  space.used = used_.as<unsigned long long>();
  space.places = places_.as<MaskPlace>();
  return space;
}

void GpuMasks::enqueue(const MaskParams& params, std::span<const Letterbox> letterboxes,
                       cudaStream_t stream) {
  params_ = params;
  params_.space = space();
  for (std::size_t first = 0; first < letterboxes.size(); first += kPicturesALaunch) {
    const std::size_t count = std::min<std::size_t>(letterboxes.size() - first, kPicturesALaunch);
    params_.first_picture = static_cast<int>(first);
    std::copy_n(letterboxes.begin() + static_cast<std::ptrdiff_t>(first), count,
                params_.letterboxes);
    launch_masks(params_, static_cast<int>(count), stream);
  }
  const std::size_t bytes = std::min(kFirstBytesAPicture * letterboxes.size(), arena_.bytes());
  cuda::copy_down(masks_down, host_arena_.data(), arena_.data(), bytes, stream);
  fetched_ = bytes / kWord;
}

void GpuMasks::fetch(std::uint64_t end) {
  if (end <= fetched_) return;
  cuda::copy_down(masks_down, host_arena_.as<std::uint32_t>() + fetched_,
                  arena_.as<std::uint32_t>() + fetched_, (end - fetched_) * kWord, stream_.get());
  CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
  fetched_ = end;
}

void GpuMasks::read(int item, const BlockHeader& header, std::uint64_t end,
                    std::span<const Box> boxes, std::span<const int> anchors,
                    const Letterbox& letterbox, std::vector<Mask>& masks) {
  const auto rendered = static_cast<std::size_t>(header.rendered);
  if (header.mask_end > fetched_) fetch(end);
  const std::uint32_t* words = host_arena_.as<const std::uint32_t>() + header.mask_offset;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    if (i >= rendered) {
      masks.push_back(render_in_strips(item, boxes[i], anchors[i], letterbox));
      continue;
    }
    const MaskAxis columns = mask_columns(field_, boxes[i], letterbox);
    const MaskAxis rows = mask_rows(field_, boxes[i], letterbox);
    BitReader reader(columns, rows, letterbox);
    reader.add_columns(words, columns.size());
    words += mask_words(columns, rows);
    masks.push_back(reader.finish());
  }
}

Mask GpuMasks::render_in_strips(int item, const Box& box, int anchor, const Letterbox& letterbox) {
  const MaskAxis columns = mask_columns(field_, box, letterbox);
  const MaskAxis rows = mask_rows(field_, box, letterbox);
  BitReader reader(columns, rows, letterbox);
  const std::size_t column_bytes = static_cast<std::size_t>(words_of_column(rows)) * kWord;
  if (column_bytes == 0) return reader.finish();
  CUDA_CHECK(cudaSetDevice(device_));  // answers may be read by another thread
  params_.space.arena = strip_.as<std::uint32_t>();
  params_.first_picture = item;
  params_.letterboxes[0] = letterbox;
  const int most = static_cast<int>(strip_.bytes() / column_bytes);
  for (int begin = columns.begin; begin < columns.end; begin += most) {
    const int end = std::min(begin + most, columns.end);
    launch_mask_strip(params_, {box, anchor, begin, end}, stream_.get());
    cuda::copy_down(masks_down, host_strip_.data(), strip_.data(),
                    column_bytes * static_cast<std::size_t>(end - begin), stream_.get());
    CUDA_CHECK(cudaStreamSynchronize(stream_.get()));
    reader.add_columns(host_strip_.as<const std::uint32_t>(), end - begin);
  }
  return reader.finish();
}

}  // namespace peregrine::vision
