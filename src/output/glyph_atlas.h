// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace peregrine::output {

/// A letter somewhere on a picture: `height` rows of `width` coverages from `offset` on in the
/// atlas.
struct GlyphPlace {
  int left = 0, top = 0;
  int width = 0, height = 0;
  std::uint32_t offset = 0;
};

/// Letters as coverage, drawn once by Cairo: the only thing about drawing that is worth a library.
/// One thread at a time.
class GlyphAtlas {
 public:
  GlyphAtlas();
  ~GlyphAtlas();
  GlyphAtlas(const GlyphAtlas&) = delete;
  GlyphAtlas& operator=(const GlyphAtlas&) = delete;

  struct LineSize {
    int width = 0, height = 0;
  };
  /// Appends the letters of one line of well-formed UTF-8, `size` pixels large, whose top left
  /// corner is (0, 0). Letters that are new are drawn. Throws `Error(kOutOfMemory)`.
  LineSize lay_out(const std::string& text, int size, std::vector<GlyphPlace>& places);

  /// Coverages of all letters so far; only ever grows, so offsets stay.
  std::span<const std::uint8_t> pixels() const { return pixels_; }

 private:
  struct Glyph {
    GlyphPlace place;  ///< from the pen's place and the line's top
    double advance = 0;
  };
  struct Drawing;
  const Glyph& glyph(const std::string& letter, int size);

  std::unique_ptr<Drawing> drawing_;
  std::map<std::pair<int, std::string>, Glyph> glyphs_;  // by size and letter
  std::vector<std::uint8_t> pixels_;
};

}  // namespace peregrine::output
