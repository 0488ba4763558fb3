// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "engine/cuda/ops/conv_work.h"
#include "model/half.h"

namespace peregrine {
namespace {

using cuda::ConvWork;

ConvWork noise(std::int64_t groups, std::int64_t out, std::int64_t in, model::Ints kernel) {
  ConvWork work;
  work.groups = groups, work.out = out, work.in = in;
  work.kernel = std::move(kernel);
  std::mt19937 generator(7);
  std::normal_distribution<float> normal(0.02F, 0.1F);
  work.weights.resize(static_cast<std::size_t>(groups * out * in * work.taps()));
  for (float& weight : work.weights) weight = normal(generator);
  return work;
}

float nearest(float value) { return model::float_from_half(model::half_from_float(value)); }

// What one output channel is off by where every input is 1.
double shift(const ConvWork& exact, const std::vector<float>& rounded, std::size_t row) {
  const auto width = static_cast<std::size_t>(exact.in * exact.taps());
  double sum = 0;
  for (std::size_t i = row * width; i < (row + 1) * width; ++i) {
    sum += double(rounded[i]) - exact.weights[i];
  }
  return std::abs(sum);
}

TEST(RoundedToHalf, ErrorsOfAChannelCancel) {
  for (const ConvWork& work : {noise(1, 16, 64, {3, 3}), noise(2, 8, 128, {1, 1})}) {
    const ConvWork rounded = cuda::rounded_to_half(work);
    std::vector<float> one_by_one = work.weights;
    for (float& weight : one_by_one) weight = nearest(weight);
    double ours = 0, naive = 0;
    for (std::size_t row = 0; row < static_cast<std::size_t>(work.groups * work.out); ++row) {
      ours += shift(work, rounded.weights, row);
      naive += shift(work, one_by_one, row);
    }
    EXPECT_LT(ours, naive / 5);
    EXPECT_GT(naive, 0);
  }
}

TEST(RoundedToHalf, GivesHalvesOneUnitAwayAtMost) {
  const ConvWork work = noise(1, 4, 32, {3, 3});
  const ConvWork rounded = cuda::rounded_to_half(work);
  for (std::size_t i = 0; i < work.weights.size(); ++i) {
    EXPECT_EQ(rounded.weights[i], nearest(rounded.weights[i]));
    EXPECT_LE(std::abs(rounded.weights[i] - work.weights[i]),
              model::half_unit(work.weights[i]) * 1.5001F);
  }
}

TEST(RoundedToHalf, LeavesHalvesAndZerosAlone) {
  ConvWork work = noise(1, 3, 5, {3, 3});
  for (float& weight : work.weights) weight = nearest(weight);
  work.weights[4] = 0;
  EXPECT_EQ(cuda::rounded_to_half(work).weights, work.weights);
  work.weights[5] = 1e9F;  // beyond float16
  const ConvWork rounded = cuda::rounded_to_half(work);
  EXPECT_TRUE(std::isinf(rounded.weights[5]));
  EXPECT_EQ(rounded.weights[4], 0);
  EXPECT_EQ(rounded.weights[6], work.weights[6]);
}

TEST(HalfUnit, IsTheDistanceToTheNextHalf) {
  EXPECT_EQ(model::half_unit(1.0F), 0x1p-10F);
  EXPECT_EQ(model::half_unit(-1.999F), 0x1p-10F);
  EXPECT_EQ(model::half_unit(0.06F), 0x1p-15F);
  EXPECT_EQ(model::half_unit(1e-7F), 0x1p-24F);
}

}  // namespace
}  // namespace peregrine
