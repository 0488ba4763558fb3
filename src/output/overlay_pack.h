// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "output/display_list.h"
#include "output/overlay_blocks.h"

namespace peregrine::output {

/// A display list in one block of memory, as it crosses the bus: a few kilobytes, masks as their
/// run lengths, colours in the picture's own matrix and range; a megabyte where there is depth.
/// Keeps its memory.
class OverlayPack {
 public:
  /// For a 4:2:0 picture such as `picture`, whose pixels are not looked at.
  void pack(const DisplayList& list, const Frame& picture);

  std::span<const std::byte> bytes() const { return bytes_; }
  /// The same with `bytes` copied to `base` (aligned to 16) and the glyphs' coverages at `atlas`.
  BlockList at(const void* base, const std::uint8_t* atlas) const;

 private:
  /// Place of a section in the block.
  struct Section {
    std::size_t offset = 0;
  };
  template <typename T>
  Section append(std::span<const T> values);
  void add_command(const DrawCommand& command, const DisplayList& list, const Frame& picture);
  void add_depth(const DepthMap& depth, const Frame& picture);

  std::vector<std::byte> bytes_;
  std::vector<BlockCommand> commands_;
  std::vector<StrokeShape> strokes_;
  std::vector<std::uint32_t> run_ends_;
  std::vector<float> depth_;
  std::vector<std::uint8_t> depth_colors_;
  Section commands_at_, strokes_at_, glyphs_at_, run_ends_at_, depth_at_, depth_colors_at_;
  BlockList counts_;  // without pointers
};

}  // namespace peregrine::output
