// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/conv_tactics.h"

#include <gtest/gtest.h>

namespace peregrine::cuda {
namespace {

DeviceInfo h200() {
  DeviceInfo device;
  device.compute_major = 9;
  device.multiprocessors = 132;
  device.shared_bytes_per_block = 227 * 1024;
  return device;
}

ConvParams square(int batch, int size, int in, int out, int kernel) {
  ConvParams p;
  p.batch = batch;
  p.in_height = p.in_width = p.out_height = p.out_width = size;
  p.in_channels = in;
  p.out_channels = out;
  p.kernel_height = p.kernel_width = kernel;
  p.pad_top = p.pad_left = kernel / 2;
  p.source[0] = {nullptr, in, in, size, size, 0};
  p.output_stride = out;
  return p;
}

const ConvTile& tile_of(const ConvTactic& tactic) {
  for (const ConvTile& tile : conv_tiles()) {
    if (tactic.name.starts_with(tile.name)) return tile;
  }
  throw std::runtime_error("no tile is called " + tactic.name);
}

TEST(ConvTactics, FewPixelsTakeSmallTilesAndManyTakeLargeOnes) {
  const auto few = conv_tactics(square(1, 20, 256, 64, 3), false, h200());
  const auto many = conv_tactics(square(32, 80, 256, 64, 3), false, h200());
  EXPECT_LE(tile_of(few.front()).m, 32);
  EXPECT_GE(tile_of(many.front()).m, 64);
}

TEST(ConvTactics, FewChannelsAndManyPixelsTakeAHalo) {
  for (const int channels : {8, 16, 32, 64}) {
    const auto tactics = conv_tactics(square(32, 160, channels, channels, 3), false, h200(), 4);
    EXPECT_TRUE(tactics.front().name.starts_with("conv halo")) << channels;
    EXPECT_EQ(named_conv_tactic(tactics.front().name).name, tactics.front().name);
  }
  for (const ConvTactic& each : conv_tactics(square(32, 160, 16, 16, 1), false, h200(), 1000))
    EXPECT_EQ(each.name.find("halo"), std::string::npos) << "only 3x3";
}

TEST(ConvTactics, AreAtMostTheLimitBestFirst) {
  const auto tactics = conv_tactics(square(1, 40, 128, 128, 3), false, h200(), 5);
  ASSERT_EQ(tactics.size(), 5u);
  for (std::size_t i = 1; i < tactics.size(); ++i) {
    EXPECT_LE(tactics[i - 1].predicted_us, tactics[i].predicted_us);
  }
}

TEST(ConvTactics, ClustersNeedHopper) {
  DeviceInfo ada = h200();
  ada.compute_major = 8;
  ada.compute_minor = 9;
  ada.shared_bytes_per_block = 99 * 1024;
  const auto tactics = conv_tactics(square(1, 20, 256, 64, 3), false, ada, 1000);
  ASSERT_FALSE(tactics.empty());
  for (const ConvTactic& tactic : tactics) {
    EXPECT_EQ(tactic.name.find(" /"), std::string::npos) << tactic.name;
    EXPECT_LE(tile_of(tactic).shared_bytes, ada.shared_bytes_per_block) << tactic.name;
  }
}

TEST(ConvTactics, EachKindOfConvolutionFindsItsKernel) {
  ConvParams depthwise = square(1, 20, 1, 1, 3);
  depthwise.groups = 64;
  depthwise.source[0].channels = depthwise.source[0].pixel_stride = depthwise.output_stride = 64;
  EXPECT_EQ(conv_tactics(depthwise, false, h200()).front().name, "conv depthwise");
  EXPECT_TRUE(conv_tactics(square(1, 20, 12, 64, 3), false, h200()).empty());
  ConvParams stem = square(1, 640, 3, 16, 3);
  stem.stride_y = stem.stride_x = 2;
  stem.out_height = stem.out_width = 320;
  EXPECT_EQ(conv_tactics(stem, true, h200()).front().name, "conv stem");
  stem.stride_y = stem.stride_x = 1;
  EXPECT_TRUE(conv_tactics(stem, true, h200()).empty());
}

TEST(ConvTactics, NamesAreUnique) {
  const auto tactics = conv_tactics(square(8, 80, 256, 256, 3), false, h200(), 1000);
  for (std::size_t i = 0; i < tactics.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(tactics[i].name, tactics[j].name);
  }
}

}  // namespace
}  // namespace peregrine::cuda
