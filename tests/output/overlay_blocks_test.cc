// SPDX-License-Identifier: Apache-2.0
// The work of the GPU's threads, done on the host, against the CPU's drawing: not a byte differs.
#include "output/overlay_blocks.h"

#include <cairo.h>

#include <cmath>

#include <gtest/gtest.h>

#include "output/overlay.h"
#include "output/overlay_pack.h"
#include "overlay_cases.h"

namespace peregrine::output {
namespace {

// What the kernel does, block after block, without its tiles.
void draw_blocks(const BlockList& list, const Frame& picture) {
  auto* luma = const_cast<std::uint8_t*>(picture.planes[0].data);
  auto* chroma = const_cast<std::uint8_t*>(picture.planes[1].data);
  for (int y = 0; y < list.height; y += 2) {
    for (int x = 0; x < list.width; x += 2) {
      std::uint8_t* pair = chroma + y / 2 * picture.planes[1].stride + x;
      Block block;
      block.u = pair[0];
      block.v = pair[1];
      const auto each = [&](auto&& visit) {
        for (int i = 0; i < 4; ++i) {
          const int column = x + i % 2, row = y + i / 2;
          if (column >= list.width || row >= list.height) continue;
          visit(block.luma[i], luma[row * picture.planes[0].stride + column]);
        }
      };
      each([](int& held, std::uint8_t sample) { held = sample; });
      if (list.depth) draw_depth(list, x, y, block);
      for (int i = 0; i < list.command_count; ++i) {
        if (reaches(list.commands[i], x, y, 2, 2)) {
          draw_command(list, list.commands[i], x, y, block);
        }
      }
      each([](int held, std::uint8_t& sample) { sample = static_cast<std::uint8_t>(held); });
      pair[0] = static_cast<std::uint8_t>(block.u);
      pair[1] = static_cast<std::uint8_t>(block.v);
    }
  }
}

TEST(OverlayBlocks, DrawTheBytesOfTheCpu) {
  OverlayRenderer renderer(overlay_labels());
  OverlayLayout layout(overlay_labels());
  OverlayPack pack;
  for (const OverlayCase& each : overlay_cases()) {
    SCOPED_TRACE(each.name);
    const std::vector<std::uint8_t> wanted =
        packed_nv12(renderer.render(each.picture, each.result));
    pack.pack(layout.lay_out(each.result, each.picture.info.width, each.picture.info.height),
              each.picture);
    // Elsewhere than where it was packed, as on a device.
    const std::vector<std::byte> moved(pack.bytes().begin(), pack.bytes().end());
    std::shared_ptr<std::vector<std::uint8_t>> memory;
    const Frame drawn = copy_picture(each.picture, memory);
    draw_blocks(pack.at(moved.data(), layout.atlas().data()), drawn);
    const std::vector<std::uint8_t> got = packed_nv12(drawn);
    ASSERT_EQ(got.size(), wanted.size());
    std::size_t different = 0, first = 0;
    for (std::size_t i = got.size(); i-- > 0;) {
      if (got[i] == wanted[i]) continue;
      ++different;
      first = i;
    }
    EXPECT_EQ(different, 0u) << "first at byte " << first << ": " << int{got[first]} << ", not "
                             << int{wanted[first]};
    if (each.name.starts_with("nothing") || each.picture.info.width < 10) continue;
    EXPECT_NE(got, packed_nv12(each.picture)) << "something is drawn";
  }
}

TEST(OverlayPack, AFrameOfTenObjectsIsAFewKilobytes) {
  OverlayLayout layout(overlay_labels());
  OverlayPack pack;
  OverlayCase ten = crowd(10);
  ten.result.detections.masks.clear();
  ten.result.detections.keypoints.clear();
  pack.pack(layout.lay_out(ten.result, 1920, 1080), ten.picture);
  EXPECT_LT(pack.bytes().size(), 8u << 10);
  ten = crowd(10);
  pack.pack(layout.lay_out(ten.result, 1920, 1080), ten.picture);
  EXPECT_LT(pack.bytes().size(), 64u << 10) << "with masks and skeletons";
}

// A whole line drawn by Cairo at once.
std::vector<std::uint8_t> line_by_cairo(const std::string& text, int size, int width, int height) {
  cairo_surface_t* surface = cairo_image_surface_create(CAIRO_FORMAT_A8, width, height);
  cairo_t* context = cairo_create(surface);
  cairo_select_font_face(context, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_BOLD);
  cairo_set_font_size(context, size);
  cairo_font_extents_t font;
  cairo_font_extents(context, &font);
  cairo_move_to(context, 0, std::ceil(font.ascent));
  cairo_show_text(context, text.c_str());
  cairo_surface_flush(surface);
  std::vector<std::uint8_t> pixels;
  const std::uint8_t* data = cairo_image_surface_get_data(surface);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* row = data + y * cairo_image_surface_get_stride(surface);
    pixels.insert(pixels.end(), row, row + width);
  }
  cairo_destroy(context);
  cairo_surface_destroy(surface);
  return pixels;
}

TEST(GlyphAtlas, LettersSideBySideAreCairosLine) {
  GlyphAtlas atlas;
  for (const int size : {11, 15, 31, 54}) {
    for (const std::string text : {"#17 person 0.93", "fjord AVAWA .,:;|", "bi\xC3\xA9", " "}) {
      std::vector<GlyphPlace> places;
      const auto line = atlas.lay_out(text, size, places);
      std::vector<std::uint8_t> got(static_cast<std::size_t>(line.width * line.height));
      for (const GlyphPlace& place : places) {
        for (int y = 0; y < place.height; ++y) {
          for (int x = 0; x < place.width; ++x) {
            const int column = place.left + x, row = place.top + y;
            if (column < 0 || column >= line.width || row < 0 || row >= line.height) continue;
            std::uint8_t& to = got[static_cast<std::size_t>(row * line.width + column)];
            to = std::max(
                to, atlas.pixels()[place.offset + static_cast<std::size_t>(y * place.width + x)]);
          }
        }
      }
      const auto wanted = line_by_cairo(text, size, line.width, line.height);
      double off = 0;
      for (std::size_t i = 0; i < got.size(); ++i) off += std::abs(int{got[i]} - int{wanted[i]});
      // Where letters overlap, Cairo adds and we take the larger.
      EXPECT_LT(off / static_cast<double>(got.size()), 0.5) << size << " '" << text << "'";
    }
  }
  const std::size_t before = atlas.pixels().size();
  std::vector<GlyphPlace> again;
  atlas.lay_out("person", 15, again);
  EXPECT_EQ(again.size(), 6u);
  EXPECT_EQ(atlas.pixels().size(), before) << "letters are drawn once";
}

}  // namespace
}  // namespace peregrine::output
