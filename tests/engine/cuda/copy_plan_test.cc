// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "engine/cuda/kernels/copy.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

TEST(CopyPlan, MergesWhatIsContiguousInBoth) {
  const CopyParams p = make_copy(Shape{2, 3, 4, 5}, Shape{60, 20, 5, 1}, Shape{120, 20, 5, 1});
  ASSERT_EQ(p.rank, 2);
  EXPECT_EQ(p.extent[0].divisor, 60u);
  EXPECT_EQ(p.extent[1].divisor, 2u);
  EXPECT_EQ(p.input_stride[1], 60);
  EXPECT_EQ(p.output_stride[1], 120);
  EXPECT_EQ(p.count, 120);
}

TEST(CopyPlan, KeepsATransposeAndDropsOnes) {
  const CopyParams p = make_copy(Shape{1, 8, 1, 3}, Shape{24, 1, 99, 8}, Shape{24, 3, 3, 1});
  ASSERT_EQ(p.rank, 2);
  EXPECT_EQ(p.extent[0].divisor, 3u);
  EXPECT_EQ(p.input_stride[0], 8);
  EXPECT_EQ(p.input_stride[1], 1);
}

TEST(CopyPlan, MergesARepeatedValue) {
  const CopyParams p = make_copy(Shape{4, 5}, Shape{0, 0}, Shape{5, 1});
  ASSERT_EQ(p.rank, 1);
  EXPECT_EQ(p.extent[0].divisor, 20u);
  EXPECT_EQ(p.input_stride[0], 0);
}

TEST(CopyPlan, RefusesTooManyElementsAndDimensions) {
  try {
    make_copy(Shape{65536, 65536}, Shape{65536, 1}, Shape{65536, 1});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModelUnsupported);
    EXPECT_STREQ(error.what(),
                 "a copy of [65536, 65536] has 2^31 elements or more; use a smaller batch");
  }
  EXPECT_THROW(make_copy(Shape{2, 2, 2, 2, 2, 2, 2}, Shape{1, 2, 4, 8, 16, 32, 64},
                         Shape{64, 32, 16, 8, 4, 2, 1}),
               Error);
}

}  // namespace
}  // namespace peregrine::cuda
