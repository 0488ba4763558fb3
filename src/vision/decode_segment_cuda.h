// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

#include "vision/candidates.h"
#include "vision/mask_axis.h"
#include "vision/result_block.h"

namespace peregrine::vision {

// A mask comes down as the bits of its box: column after column, each a whole number of 32-bit
// words, the lowest bit on top.
PEREGRINE_HOST_DEVICE int words_of_column(const MaskAxis& rows) { return (rows.size() + 31) / 32; }
PEREGRINE_HOST_DEVICE std::uint64_t mask_words(const MaskAxis& columns, const MaskAxis& rows) {
  return static_cast<std::uint64_t>(columns.size()) * words_of_column(rows);
}

// One block of threads computes one tile of a mask at a time.
constexpr int kTileColumns = 32, kTileWords = 2, kTileRows = kTileWords * 32;
PEREGRINE_HOST_DEVICE int tiles_down(const MaskAxis& rows) {
  return (rows.size() + kTileRows - 1) / kTileRows;
}
PEREGRINE_HOST_DEVICE int mask_tiles(const MaskAxis& columns, const MaskAxis& rows) {
  return (columns.size() + kTileColumns - 1) / kTileColumns * tiles_down(rows);
}

/// Sums over the objects before one, in its picture.
struct MaskPlace {
  std::uint64_t word = 0;
  std::int64_t tile = 0;
};

/// Where the masks of a batch go: an arena that its pictures share.
struct MaskSpace {
  MaskField field;
  std::uint32_t* arena = nullptr;
  std::uint64_t capacity = 0;          ///< words
  unsigned long long* used = nullptr;  ///< words that the pictures so far have claimed
  MaskPlace* places = nullptr;         ///< `most_rows + 1` a picture
};

/// Renders what `SuppressParams` has given a place.
struct MaskParams {
  int first_picture = 0;
  RawBoxes raw;
  std::ptrdiff_t picture_stride = 0;
  int first_coefficient = 0;  ///< channel
  int coefficients = 0;
  const float* prototypes = nullptr;  ///< [batch, coefficients, field.height, field.width]
  BlockLayout layout;
  const std::uint8_t* blocks = nullptr;
  const std::uint8_t* rests = nullptr;
  MaskSpace space;
  Letterbox letterboxes[64];
};
/// Throws `Error(kGpu)`.
void launch_masks(const MaskParams& params, int pictures, cudaStream_t stream);

/// Renders some columns of one object to the start of the arena. `params` is for a launch whose
/// first picture is the object's. Throws `Error(kGpu)`.
struct MaskStrip {
  Box box;  ///< source pixels
  std::int32_t anchor = 0;
  std::int32_t begin = 0, end = 0;  ///< source columns
};
void launch_mask_strip(const MaskParams& params, const MaskStrip& strip, cudaStream_t stream);

}  // namespace peregrine::vision
