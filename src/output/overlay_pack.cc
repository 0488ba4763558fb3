// SPDX-License-Identifier: Apache-2.0
#include "output/overlay_pack.h"

#include <cstring>

namespace peregrine::output {

void OverlayPack::pack(const DisplayList& list, const Frame& picture) {
  commands_.clear();
  strokes_.clear();
  run_ends_.clear();
  depth_.clear();
  depth_colors_.clear();
  counts_ = {};
  counts_.width = picture.info.width;
  counts_.height = picture.info.height;
  for (const Stroke& stroke : list.strokes) {
    strokes_.push_back(stroke_shape(stroke.x0, stroke.y0, stroke.x1, stroke.y1, stroke.radius));
  }
  for (const DrawCommand& command : list.commands) add_command(command, list, picture);
  if (list.depth) add_depth(*list.depth, picture);
  counts_.command_count = static_cast<int>(commands_.size());

  bytes_.clear();
  commands_at_ = append(std::span<const BlockCommand>(commands_));
  strokes_at_ = append(std::span<const StrokeShape>(strokes_));
  glyphs_at_ = append(std::span<const GlyphPlace>(list.glyphs));
  run_ends_at_ = append(std::span<const std::uint32_t>(run_ends_));
  depth_at_ = append(std::span<const float>(depth_));
  depth_colors_at_ = append(std::span<const std::uint8_t>(depth_colors_));
}

template <typename T>
OverlayPack::Section OverlayPack::append(std::span<const T> values) {
  constexpr std::size_t kAlignment = 16;
  const std::size_t offset = (bytes_.size() + kAlignment - 1) / kAlignment * kAlignment;
  bytes_.resize(offset + values.size_bytes());
  if (!values.empty()) std::memcpy(bytes_.data() + offset, values.data(), values.size_bytes());
  return {offset};
}

void OverlayPack::add_command(const DrawCommand& command, const DisplayList& list,
                              const Frame& picture) {
  const PixelRect& region = command.region;
  if (region.intersect({0, 0, picture.info.width, picture.info.height}).empty()) return;
  const auto values = components_of(command.color, picture.format, picture.matrix, picture.range);
  BlockCommand packed;
  packed.left = region.left;
  packed.top = region.top;
  packed.right = region.right;
  packed.bottom = region.bottom;
  packed.shape = command.shape;
  packed.y = static_cast<std::uint8_t>(values[0]);
  packed.u = static_cast<std::uint8_t>(values[1]);
  packed.v = static_cast<std::uint8_t>(values[2]);
  packed.translucency = translucency_of(command.opacity);
  packed.first = command.first;
  packed.count = command.count;
  if (command.shape == DrawCommand::Shape::kMask) {
    const Mask& mask = *list.masks[command.first];
    packed.mask_width = mask.width;
    packed.mask_height = mask.height;
    packed.first = static_cast<std::uint32_t>(run_ends_.size());
    packed.count = static_cast<std::uint32_t>(mask.counts.size());
    std::uint32_t end = 0;
    for (const std::uint32_t run : mask.counts) run_ends_.push_back(end += run);
  }
  commands_.push_back(packed);
}

void OverlayPack::add_depth(const DepthMap& depth, const Frame& picture) {
  counts_.depth_width = depth.width;
  counts_.depth_height = depth.height;
  counts_.depth_weight = translucency_of(kDepthOpacity);
  for (std::size_t i = 0; i < depth.values.size(); ++i) depth_.push_back(depth.normalized(i));
  for (const Color& color : heat_scale()) {
    for (const int value : components_of(color, picture.format, picture.matrix, picture.range)) {
      depth_colors_.push_back(static_cast<std::uint8_t>(value));
    }
  }
}

BlockList OverlayPack::at(const void* base, const std::uint8_t* atlas) const {
  const auto* first = static_cast<const std::byte*>(base);
  BlockList list = counts_;
  list.commands = reinterpret_cast<const BlockCommand*>(first + commands_at_.offset);
  list.strokes = reinterpret_cast<const StrokeShape*>(first + strokes_at_.offset);
  list.glyphs = reinterpret_cast<const GlyphPlace*>(first + glyphs_at_.offset);
  list.run_ends = reinterpret_cast<const std::uint32_t*>(first + run_ends_at_.offset);
  if (!depth_.empty()) list.depth = reinterpret_cast<const float*>(first + depth_at_.offset);
  list.depth_colors = reinterpret_cast<const std::uint8_t*>(first + depth_colors_at_.offset);
  list.atlas = atlas;
  return list;
}

}  // namespace peregrine::output
