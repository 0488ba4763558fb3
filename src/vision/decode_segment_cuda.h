// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "vision/candidates.h"
#include "vision/mask_axis.h"
#include "vision/result_block.h"

namespace peregrine::vision {

// A mask comes down as its edges: the places, in column-major order over the whole source, where a
// pixel differs from the one before it. Each column of a box opens and closes on its own; where one
// closes in the very place where the next one opens, both edges cancel.

// One block of threads computes a strip of a mask: so many columns, and so many rows of them.
constexpr int kStripColumns = 16, kStripRows = 4096;
PEREGRINE_HOST_DEVICE int strips_across(const MaskAxis& columns) {
  return (columns.size() + kStripColumns - 1) / kStripColumns;
}
PEREGRINE_HOST_DEVICE int strips_down(const MaskAxis& rows) {
  return (rows.size() + kStripRows - 1) / kStripRows;
}
/// Strips of a mask, those of its uppermost rows first.
PEREGRINE_HOST_DEVICE int mask_strips(const MaskAxis& columns, const MaskAxis& rows) {
  return strips_across(columns) * strips_down(rows);
}

/// What stands before a strip's edges in the arena.
struct StripHeader {
  std::uint32_t picture, object, strip, edges;
};
constexpr std::uint32_t kStripWords = sizeof(StripHeader) / sizeof(std::uint32_t);
/// Object of the header behind which nothing has found room.
constexpr std::uint32_t kArenaEnd = 0xffffffffu;
/// The most words of a strip: its header and an edge before each pixel and behind each column.
constexpr std::uint32_t kMostStripWords = kStripWords + kStripColumns * (kStripRows + 1);

/// Where the strips of a batch go, in any order, one after the other: an arena that its pictures
/// share. It begins with the number of words that have been claimed behind its header.
constexpr std::uint32_t kArenaHeaderWords = 4;
struct MaskArena {
  std::uint32_t* words = nullptr;
  std::uint64_t capacity = 0;

  PEREGRINE_HOST_DEVICE unsigned long long* claimed() const {
    return reinterpret_cast<unsigned long long*>(words);
  }
};

/// Renders the masks of the rows in the result block.
struct MaskParams {
  int first_picture = 0;  ///< of this launch
  RawBoxes raw;
  std::ptrdiff_t picture_stride = 0;
  int first_coefficient = 0;  ///< channel
  int coefficients = 0;
  const float* prototypes = nullptr;  ///< [batch, coefficients, field.height, field.width]
  MaskField field;
  BlockLayout layout;
  const std::uint8_t* blocks = nullptr;
  const std::uint8_t* rests = nullptr;
  const std::int32_t* strips_before = nullptr;  ///< by row, `most_rows + 1` a picture
  MaskArena arena;
  Letterbox letterboxes[kPicturesALaunch];
};
/// Throws `Error(kGpu)`.
void launch_masks(const MaskParams& params, int pictures, cudaStream_t stream);

/// Renders some strips of one object. `params` is for a launch whose first picture is the object's.
/// Throws `Error(kGpu)`.
struct MaskStrips {
  Box box;  ///< source pixels
  std::int32_t anchor = 0;
  std::int32_t first = 0, count = 0;
};
void launch_mask_strips(const MaskParams& params, const MaskStrips& strips, cudaStream_t stream);

}  // namespace peregrine::vision
