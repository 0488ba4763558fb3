// SPDX-License-Identifier: Apache-2.0
// What comes down of a box model: one block a picture, all blocks in one copy.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/host_device.h"
#include "peregrine/detections.h"

namespace peregrine::vision {

/// So many letterboxes travel as an argument of a kernel; a larger batch takes several launches.
constexpr int kPicturesALaunch = 64;

struct BlockHeader {
  std::int32_t count = 0;  ///< rows
  std::int32_t unused[3] = {};
};

/// An object; what the task adds stands behind it: an `OrientedBox`, or the `Keypoint`s.
struct BoxRow {
  Box box;  ///< source pixels
  float score = 0;
  std::int32_t class_id = 0;
  std::int32_t anchor = 0;
};

/// Where rows lie. Those that do not fit into the block follow in a second piece of memory that is
/// copied only when it is used.
struct BlockLayout {
  int row_bytes = sizeof(BoxRow);
  int rows_in_block = 0;
  int most_rows = 0;

  PEREGRINE_HOST_DEVICE std::size_t block_bytes() const {
    // A whole number of 16 bytes, so that each picture's header is aligned.
    return (sizeof(BlockHeader) + static_cast<std::size_t>(rows_in_block) * row_bytes + 15) / 16 *
           16;
  }
  PEREGRINE_HOST_DEVICE std::size_t rest_bytes() const {
    return static_cast<std::size_t>(most_rows - rows_in_block) * row_bytes;
  }
  /// Row `index` of the picture with this block and this rest.
  template <typename Byte>
  PEREGRINE_HOST_DEVICE Byte* row(Byte* block, Byte* rest, int index) const {
    return index < rows_in_block
               ? block + sizeof(BlockHeader) + static_cast<std::size_t>(index) * row_bytes
               : rest + static_cast<std::size_t>(index - rows_in_block) * row_bytes;
  }
};

/// Blocks of at most this size hold 584 boxes or 70 poses of 17 points; rarely is there more.
constexpr std::size_t kMostBlockBytes = 16 * 1024;

inline BlockLayout block_layout(int most_rows, std::size_t extra_bytes) {
  BlockLayout layout;
  layout.row_bytes = static_cast<int>(sizeof(BoxRow) + extra_bytes);
  layout.most_rows = most_rows;
  layout.rows_in_block =
      std::min(most_rows, static_cast<int>((kMostBlockBytes - sizeof(BlockHeader)) /
                                           static_cast<std::size_t>(layout.row_bytes)));
  return layout;
}

}  // namespace peregrine::vision
