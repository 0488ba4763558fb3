// SPDX-License-Identifier: Apache-2.0
#include "vision/picture_input.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace peregrine::vision {
namespace {

TEST(PictureInput, HalfPixelsAreSeenAsThreePlanes) {
  const TensorSpec pixels{"images", DType::kFloat16, {-1, 6, 8, 4}};
  EXPECT_TRUE(takes_half_pixels(pixels));
  EXPECT_EQ(planar_spec(pixels).shape, (Shape{-1, 3, 6, 8}));
  EXPECT_EQ(planar_spec(pixels).dtype, DType::kFloat16);

  std::vector<std::uint16_t> memory(2 * 6 * 8 * 4);
  const TensorView view = planar_view(TensorView(memory.data(), DType::kFloat16, {2, 6, 8, 4}));
  EXPECT_EQ(view.shape, (Shape{2, 3, 6, 8}));
  // Green of pixel (7, 5) of the second picture.
  const std::int64_t at =
      1 * view.strides[0] + 1 * view.strides[1] + 5 * view.strides[2] + 7 * view.strides[3];
  EXPECT_EQ(at, 6 * 8 * 4 + (5 * 8 + 7) * 4 + 1);
}

TEST(PictureInput, PlanesStayWhatTheyAre) {
  for (const DType dtype : {DType::kFloat32, DType::kFloat16}) {
    const TensorSpec planes{"images", dtype, {-1, 3, 6, 8}};
    EXPECT_FALSE(takes_half_pixels(planes));
    EXPECT_EQ(planar_spec(planes).shape, planes.shape);
  }
  std::vector<float> memory(3 * 6 * 4);
  const TensorView view = planar_view(TensorView(memory.data(), DType::kFloat32, {1, 3, 6, 4}));
  EXPECT_EQ(view.strides, (Shape{72, 24, 4, 1}));
}

}  // namespace
}  // namespace peregrine::vision
