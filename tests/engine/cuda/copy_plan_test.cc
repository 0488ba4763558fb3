// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "engine/cuda/kernels/copy.h"
#include "testing/expect_error.h"

namespace peregrine::cuda {
namespace {

TEST(CopyPlan, MergesWhatIsContiguousInBoth) {
  const Walk<2> walk = make_copy(Shape{2, 3, 4, 5}, Shape{60, 20, 5, 1}, Shape{120, 20, 5, 1}).walk;
  ASSERT_EQ(walk.rank, 2);
  EXPECT_EQ(walk.extent[0].divisor, 60u);
  EXPECT_EQ(walk.extent[1].divisor, 2u);
  EXPECT_EQ(walk.stride[1][0], 120);
  EXPECT_EQ(walk.stride[1][1], 60);
  EXPECT_EQ(walk.count, 120);
}

TEST(CopyPlan, MergesInterleavedPicturesWhateverTheOrderOfTheirAxes) {
  // NCHW by name, NHWC in memory, into eight of sixteen channels.
  const Walk<2> walk =
      make_copy(Shape{2, 8, 5, 7}, Shape{280, 1, 56, 8}, Shape{560, 1, 112, 16}).walk;
  ASSERT_EQ(walk.rank, 2);
  EXPECT_EQ(walk.extent[0].divisor, 8u);
  EXPECT_EQ(walk.extent[1].divisor, 70u);
}

TEST(CopyPlan, KeepsATransposeAndDropsOnes) {
  const Walk<2> walk = make_copy(Shape{1, 8, 1, 3}, Shape{24, 1, 99, 8}, Shape{24, 3, 3, 1}).walk;
  ASSERT_EQ(walk.rank, 2);
  EXPECT_EQ(walk.extent[0].divisor, 3u);
  EXPECT_EQ(walk.stride[0][1], 8);
  EXPECT_EQ(walk.stride[1][1], 1);
}

TEST(CopyPlan, MergesARepeatedValue) {
  const Walk<2> walk = make_copy(Shape{4, 5}, Shape{0, 0}, Shape{5, 1}).walk;
  ASSERT_EQ(walk.rank, 1);
  EXPECT_EQ(walk.extent[0].divisor, 20u);
  EXPECT_EQ(walk.stride[0][1], 0);
}

TEST(CopyPlan, WidensToWhatAddressesAndStridesAllow) {
  const auto width = [](const CopyParams& p, std::uintptr_t input) {
    return vector_width(p.walk, 2, 8, {{reinterpret_cast<const void*>(input), 2}, {nullptr, 2}});
  };
  const CopyParams p = make_copy(Shape{3, 24}, Shape{40, 1}, Shape{32, 1});
  EXPECT_EQ(width(p, 4096), 8);
  EXPECT_EQ(width(p, 4096 + 8), 4);
  EXPECT_EQ(width(p, 4096 + 2), 1);
  EXPECT_EQ(width(make_copy(Shape{3, 20}, Shape{40, 1}, Shape{32, 1}), 4096), 4);
  EXPECT_EQ(width(make_copy(Shape{3, 24}, Shape{-42, 1}, Shape{32, 1}), 4096), 2);
  EXPECT_EQ(width(make_copy(Shape{3, 24}, Shape{48, 2}, Shape{32, 1}), 4096), 1);
  const Walk<2> units = widened(p.walk, 2, 8, true);
  EXPECT_EQ(units.count, 9);
  EXPECT_EQ(units.stride[0][0], 1);
  EXPECT_EQ(units.stride[1][0], 4);
  EXPECT_EQ(units.stride[1][1], 5);
  const Walk<2> elements = widened(p.walk, 2, 8, false);
  EXPECT_EQ(elements.count, 9);
  EXPECT_EQ(elements.stride[0][1], 8);
  EXPECT_EQ(elements.stride[1][1], 40);
}

TEST(CopyPlan, TilesWhatIsContiguousAlongDifferentDimensions) {
  const auto tiled = make_tiled_copy(
      make_copy(Shape{2, 40, 9, 5}, Shape{1800, 45, 5, 1}, Shape{1800, 1, 200, 40}));
  ASSERT_TRUE(tiled.has_value());
  EXPECT_EQ(tiled->along_output, 40);
  EXPECT_EQ(tiled->along_input, 45);
  EXPECT_EQ(tiled->input_stride, 45);
  EXPECT_EQ(tiled->output_stride, 40);
  EXPECT_EQ(tiled->blocks(), 2 * 2 * 2);
  EXPECT_EQ(tiled->rest.stride[0][0], 1800);
}

TEST(CopyPlan, DoesNotTileShortSides) {
  EXPECT_FALSE(make_tiled_copy(make_copy(Shape{3, 900}, Shape{900, 1}, Shape{1, 3})));
  EXPECT_FALSE(make_tiled_copy(make_copy(Shape{900}, Shape{2}, Shape{1})));
}

TEST(CopyPlan, RefusesTooManyElementsAndDimensions) {
  testing::expect_error(
      ErrorCode::kModelUnsupported,
      {"a tensor of [65536, 65536] spans 2^31 elements or more; use a smaller batch"}, [] {
        make_copy(Shape{65536, 65536}, Shape{65536, 1}, Shape{65536, 1});
      });
  testing::expect_error(ErrorCode::kModelUnsupported, {"more than 8 separate dimensions"}, [] {
    make_copy(Shape{2, 2, 2, 2, 2, 2, 2, 2, 2}, Shape{1, 2, 4, 8, 16, 32, 64, 128, 256},
              Shape{256, 128, 64, 32, 16, 8, 4, 2, 1});
  });
}

}  // namespace
}  // namespace peregrine::cuda
