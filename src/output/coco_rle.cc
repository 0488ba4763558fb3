// SPDX-License-Identifier: Apache-2.0
#include "output/coco_rle.h"

#include <cstddef>

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

void append_json_coco_rle(std::string& text, std::span<const std::uint32_t> counts) {
  text += '"';
  encode(counts, [&](char c) {
    if (c == '\\') text += '\\';
    text += c;
  });
  text += '"';
}

}  // namespace peregrine::output
