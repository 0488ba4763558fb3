// SPDX-License-Identifier: Apache-2.0
#include "output/coco_rle.h"

#include <cstddef>

#include "output/text.h"

namespace peregrine::output {
namespace {

template <typename Append>
void encode(std::span<const std::uint32_t> counts, Append&& append) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    std::int64_t value = counts[i];
    if (i > 2) value -= counts[i - 2];
    bool more = true;
    while (more) {
      std::int64_t group = value & 0x1F;
      value >>= 5;  // arithmetic: C++20 keeps the sign
      more = (group & 0x10) ? value != -1 : value != 0;
      if (more) group |= 0x20;
      append(static_cast<char>(group + 48));
    }
  }
}

}  // namespace

void append_coco_rle(std::string& text, std::span<const std::uint32_t> counts) {
  encode(counts, [&](char c) { text += c; });
}

void append_json_mask(std::string& text, const Mask& mask) {
  text += R"({"size":[)";
  append_integer(text, mask.height);
  text += ',';
  append_integer(text, mask.width);
  text += R"(],"counts":")";
  encode(mask.counts, [&](char c) {
    if (c == '\\') text += '\\';  // of all that may occur, only this needs it
    text += c;
  });
  text += R"("})";
}

}  // namespace peregrine::output
