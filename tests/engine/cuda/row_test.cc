// SPDX-License-Identifier: Apache-2.0
// The kernels on rows against plain loops over the same operands.
#include <numeric>
#include <tuple>
#include <vector>

#include "engine/cuda/gpu.h"
#include "engine/cuda/host_rows.h"
#include "engine/cuda/kernels/rows.h"

namespace peregrine::cuda {
namespace {

using namespace peregrine::testing;

/// A tensor on both sides: [batch, channels, length] in the order of memory that `strides` say.
struct Operand {
  std::vector<float> host;  // what it holds, rounded to its type
  std::vector<__half> halves;
  DeviceBuffer device;
  bool half;

  Operand(std::vector<float> values, bool narrow) : host(std::move(values)), half(narrow) {
    for (const float value : host) halves.push_back(__float2half_rn(value));
    device = narrow ? to_device(halves) : to_device(host);
  }
  void at_host(RowTensor& tensor) {
    tensor.dtype = half ? DType::kFloat16 : DType::kFloat32;
    tensor.data = half ? static_cast<void*>(halves.data()) : host.data();
  }
  void at_device(RowTensor& tensor) const { tensor.data = device.data(); }
  std::vector<float> from_host() const {
    if (!half) return host;
    std::vector<float> values;
    for (const __half value : halves) values.push_back(__half2float(value));
    return values;
  }
  std::vector<float> from_device() const {
    return half ? to_host_from_half(device) : to_host<float>(device);
  }
};

std::vector<float> shifted(std::vector<float> values, float offset) {
  for (float& value : values) value = __half2float(__float2half_rn(value + offset));
  return values;
}

struct Cut {
  Shape shape, strides;
  std::vector<bool> reduced;
};
// Contiguous rows for registers and for the general kernel, rows of slices, rows side by side
// (channels of NHWC), many axes, rows longer than a block.
const Cut kCuts[] = {
    {{13, 32}, {32, 1}, {false, true}},
    {{50, 768}, {768, 1}, {false, true}},
    {{700, 384}, {768, 1}, {false, true}},
    {{9, 2048}, {2048, 1}, {false, true}},
    {{11, 1000}, {1000, 1}, {false, true}},
    {{13, 77}, {77, 1}, {false, true}},
    {{5, 3}, {3, 1}, {false, true}},
    {{3, 9000}, {9000, 1}, {false, true}},
    {{2, 40, 150}, {6000, 1, 40}, {false, false, true}},
    {{2, 40, 6, 7}, {1680, 1, 280, 40}, {false, true, false, false}},
    {{4, 6, 5, 7}, {210, 35, 7, 1}, {true, false, true, false}},
};

std::int64_t extent_of(const Cut& cut) {
  std::int64_t reach = 1;
  for (std::size_t d = 0; d < cut.shape.size(); ++d) {
    reach += (cut.shape[d] - 1) * cut.strides[d];
  }
  return reach;
}

class Normalizing : public ::testing::TestWithParam<int> {};

TEST_P(Normalizing, AgreesWithPlainLoopsAlsoFarFromZero) {
  PEREGRINE_NEEDS_GPU();
  const Cut& cut = kCuts[GetParam()];
  const auto size = static_cast<std::size_t>(extent_of(cut));
  for (int kind = 0; kind <= static_cast<int>(Normalization::kMeanVariance); ++kind) {
    for (const auto& [half, half_factors, offset] :
         {std::tuple(true, true, 0.0F), std::tuple(false, true, 300.0F),
          std::tuple(true, false, 0.0F), std::tuple(false, false, 0.0F)}) {
      Operand x(shifted(random_halves(size, 11, 4.0F), offset), half);
      Operand y(std::vector<float>(size, 0.0F), half);
      CUDA_CHECK(cudaMemset(y.device.data(), 0, y.device.bytes()));
      Operand scale(random_halves(size, 12), half_factors), bias(random_halves(size, 13), half);
      // A factor for each element of a row, the same for every row.
      Shape factors = packed_strides(cut.shape);
      std::int64_t stride = 1;
      for (std::size_t d = factors.size(); d-- > 0;) {
        factors[d] = cut.reduced[d] ? stride : 0;
        if (cut.reduced[d]) stride *= cut.shape[d];
      }
      NormalizeParams p;
      p.kind = static_cast<Normalization>(kind);
      std::vector<RowTensor> tensors(4);
      p.rows = make_rows(cut.shape, cut.reduced,
                         std::vector<Shape>{cut.strides, factors, factors, cut.strides}, tensors);
      p.input = tensors[0];
      p.output = tensors[3];
      x.at_host(p.input);
      y.at_host(p.output);
      if (p.kind == Normalization::kLayer || p.kind == Normalization::kRms) {
        p.scale = tensors[1];
        scale.at_host(p.scale);
      }
      if (p.kind == Normalization::kLayer) {
        p.bias = tensors[2];
        bias.at_host(p.bias);
      }
      normalize_on_host(p);
      x.at_device(p.input);
      y.at_device(p.output);
      if (p.scale.data) scale.at_device(p.scale);
      if (p.bias.data) bias.at_device(p.bias);
      const Stream stream = make_stream();
      launch_normalize(p, true, stream.get());
      CUDA_CHECK(cudaStreamSynchronize(stream.get()));
      // In FP32 the mean of values near 300 is off by 300 * 2^-24, a hundred-thousandth of their
      // spread.
      EXPECT_LT(relative_error(y.from_device(), y.from_host()), half ? 1e-3 : 2e-5)
          << "kind " << kind << " half " << half << " offset " << offset;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cuts, Normalizing, ::testing::Range(0, int(std::size(kCuts))));

class Reducing : public ::testing::TestWithParam<int> {};

TEST_P(Reducing, AgreesWithPlainLoops) {
  PEREGRINE_NEEDS_GPU();
  const Cut& cut = kCuts[GetParam()];
  const auto size = static_cast<std::size_t>(extent_of(cut));
  Shape output = packed_strides(cut.shape);
  std::int64_t rows = 1;
  for (std::size_t d = output.size(); d-- > 0;) {
    output[d] = cut.reduced[d] ? 0 : rows;
    if (!cut.reduced[d]) rows *= cut.shape[d];
  }
  for (int op = 0; op <= static_cast<int>(ReduceOp::kArgMin); ++op) {
    for (const bool half : {true, false}) {
      ReduceParams p;
      p.op = static_cast<ReduceOp>(op);
      // Products of thousands of numbers stay finite near 1; sums are positive for the logarithm.
      const bool product = p.op == ReduceOp::kProd;
      Operand x(shifted(random_halves(size, 21, product ? 0.01F : 0.5F), 1.0F), half && !product);
      Operand y(std::vector<float>(static_cast<std::size_t>(rows), 0.0F), false);
      poison(y.device);
      std::vector<RowTensor> tensors(2);
      p.rows = make_rows(cut.shape, cut.reduced, std::vector<Shape>{cut.strides, output}, tensors);
      p.input = tensors[0];
      p.output = tensors[1];
      x.at_host(p.input);
      y.at_host(p.output);
      reduce_on_host(p);
      x.at_device(p.input);
      y.at_device(p.output);
      const Stream stream = make_stream();
      launch_reduce(p, true, stream.get());
      CUDA_CHECK(cudaStreamSynchronize(stream.get()));
      EXPECT_LT(relative_error(y.from_device(), y.from_host()), product ? 1e-3 : 1e-5)
          << "op " << op << " half " << half;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cuts, Reducing, ::testing::Range(0, int(std::size(kCuts))));

TEST(CumulativeSum, RunsBothWaysOverWholeWarpsAndTheRest) {
  PEREGRINE_NEEDS_GPU();
  const Shape shape{5, 77}, strides{77, 1};
  for (const bool exclusive : {false, true}) {
    for (const bool reverse : {false, true}) {
      Operand x(random_halves(385, 31), false), y(std::vector<float>(385, 0.0F), false);
      poison(y.device);
      CumulativeSumParams p;
      p.exclusive = exclusive;
      p.reverse = reverse;
      std::vector<RowTensor> tensors(2);
      p.rows = make_rows(shape, {false, true}, std::vector<Shape>{strides, strides}, tensors);
      p.input = tensors[0];
      p.output = tensors[1];
      x.at_host(p.input);
      y.at_host(p.output);
      cumulative_sum_on_host(p);
      x.at_device(p.input);
      y.at_device(p.output);
      const Stream stream = make_stream();
      launch_cumulative_sum(p, true, stream.get());
      CUDA_CHECK(cudaStreamSynchronize(stream.get()));
      EXPECT_LT(relative_error(y.from_device(), y.from_host()), 1e-5);
    }
  }
}

}  // namespace
}  // namespace peregrine::cuda
