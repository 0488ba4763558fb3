// SPDX-License-Identifier: Apache-2.0
#include "output/coco_rle.h"

#include <fstream>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

namespace peregrine::output {
namespace {

TEST(CocoRle, EqualsPycocotools) {
  std::ifstream file(PEREGRINE_SOURCE_DIR "/tests/output/data/coco_rle.txt");
  int masks = 0;
  for (std::string line; std::getline(file, line); ++masks) {
    std::istringstream fields(line);
    int width = 0, height = 0;
    std::string expected, text;
    fields >> width >> height >> expected;
    std::vector<std::uint32_t> counts;
    std::uint64_t pixels = 0;
    for (std::uint32_t count = 0; fields >> count; pixels += count) counts.push_back(count);
    ASSERT_EQ(pixels, static_cast<std::uint64_t>(width) * height);
    append_coco_rle(text, counts);
    EXPECT_EQ(text, expected) << width << " x " << height;
  }
  EXPECT_EQ(masks, 11);
}

TEST(CocoRle, BackslashIsEscapedInJson) {
  // 12 + 32 (another group) + 48 = 92, the backslash; then 1 + 48.
  std::string text, json;
  const std::uint32_t counts[] = {44};
  append_coco_rle(text, counts);
  append_json_mask(json, {1, 44, {44}});
  EXPECT_EQ(text, "\\1");
  EXPECT_EQ(json, R"({"size":[44,1],"counts":"\\1"})");
}

}  // namespace
}  // namespace peregrine::output
