// SPDX-License-Identifier: Apache-2.0
#include "peregrine/tensor.h"

#include <gtest/gtest.h>

#include "peregrine/error.h"

namespace peregrine {
namespace {

TEST(Tensor, CountsElementsAndRefusesOverflow) {
  EXPECT_EQ(element_count(Shape{2, 3, 4}), 24);
  EXPECT_EQ(element_count(Shape{}), 1);
  EXPECT_EQ(element_count(Shape{std::int64_t{1} << 62, std::int64_t{1} << 62, 0}), 0);
  EXPECT_THROW(element_count(Shape{std::int64_t{1} << 32, std::int64_t{1} << 32}), Error);
  EXPECT_THROW(element_count(Shape{-1, 3}), Error);
  EXPECT_THROW(byte_size(DType::kFloat32, Shape{std::int64_t{1} << 61, 1}), Error);
}

TEST(Tensor, SlicesTheOutermostDimension) {
  Tensor tensor = Tensor::of<float>(std::vector<float>{0, 1, 2, 3, 4, 5}, {3, 2});
  const TensorView middle = tensor.view().slice(1, 1);
  EXPECT_EQ(middle.as<float>()[0], 2);
  EXPECT_TRUE(middle.is_packed());
  EXPECT_TRUE(TensorView(nullptr, DType::kFloat32, {2, 0, 4}).is_packed());
  EXPECT_THROW(tensor.view().slice(2, 2), Error);
}

TEST(Tensor, TypedAccessChecksTheDtype) {
  Tensor tensor = Tensor::zeros(DType::kInt64, {4});
  EXPECT_EQ(tensor.as<std::int64_t>()[3], 0);
  EXPECT_THROW(tensor.as<float>(), Error);
}

TEST(Tensor, RefusesWhatTheHostCannotHold) {
  try {
    Tensor tensor(DType::kFloat32, {std::int64_t{1} << 58});
    FAIL() << "allocated";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
  }
}

}  // namespace
}  // namespace peregrine
