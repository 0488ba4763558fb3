// SPDX-License-Identifier: Apache-2.0
// The pointwise kernel on the GPU against the same formulas on the host: each op in each domain,
// wide accesses and scattered ones.
#include <cmath>
#include <vector>

#include "engine/cuda/gpu.h"
#include "engine/cuda/kernels/pointwise_math.h"

namespace peregrine::cuda {
namespace {

using namespace peregrine::testing;

template <typename T>
void on_host(const PointwiseParams& p) {
  for (int i = 0; i < p.count; i += 4) {
    pointwise::run<T, 4>(p, pointwise::Scattered<4>(p, {i, i + 1, i + 2, i + 3}));
  }
}

template <typename T>
std::vector<T> on_device(PointwiseParams p, const std::vector<std::vector<T>>& inputs,
                         std::size_t outputs) {
  std::vector<DeviceBuffer> buffers;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    buffers.push_back(to_device(inputs[k]));
    p.inputs[k].data = buffers.back().data();
  }
  const DeviceBuffer output(outputs * sizeof(T));
  poison(output);
  p.output.data = output.data();
  const Stream stream = make_stream();
  launch_pointwise(p, true, stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  return to_host<T>(output);
}

/// op(x0, x1, x2) on both sides; tensors are [rows, width] and each input repeats its first row or
/// has rows of its own.
template <typename T>
void expect_same(PointwiseOp op, std::int64_t width, bool repeated,
                 std::vector<std::vector<T>> inputs) {
  const std::int64_t rows = static_cast<std::int64_t>(inputs[0].size()) / width;
  const Shape own{width, 1}, first{0, 1};
  PointwiseParams p =
      make_pointwise(Shape{rows, width}, own, std::vector<Shape>{own, repeated ? first : own, own});
  p.integers = std::is_integral_v<T>;
  p.instruction_count = 2;
  p.instructions[0].x = 0;
  p.instructions[1].op = op;
  p.instructions[1].x = 1;
  p.instructions[1].y = 2;
  p.instructions[1].alpha = 0.7F;
  p.instructions[1].beta = 0.4F;
  for (auto& tensor : p.inputs) tensor.dtype = dtype_of<T>::value;
  p.output.dtype = dtype_of<T>::value;
  std::vector<T> expected(inputs[0].size());
  for (std::size_t k = 0; k < inputs.size(); ++k) p.inputs[k].data = inputs[k].data();
  p.output.data = expected.data();
  on_host<T>(p);
  const std::vector<T> actual = on_device(p, inputs, expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto want = static_cast<double>(expected[i]), got = static_cast<double>(actual[i]);
    if (std::isnan(want) || std::isinf(want)) {
      ASSERT_TRUE(std::isnan(want) ? std::isnan(got) : got == want)
          << info(op).name << " of " << inputs[0][i] << ": " << got << ", not " << want;
    } else {
      ASSERT_NEAR(got, want, std::is_integral_v<T> ? 0 : 1e-5 * std::max(1.0, std::abs(want)))
          << info(op).name << " of " << inputs[0][i];
    }
  }
}

constexpr PointwiseOp kAll[] = {
#define PEREGRINE_POINTWISE(name, floats, integers) PointwiseOp::k##name,
#include "engine/cuda/kernels/pointwise_ops.def"
#undef PEREGRINE_POINTWISE
};

TEST(PointwiseKernel, ComputesEachOpAsTheHostDoes) {
  PEREGRINE_NEEDS_GPU();
  for (const std::int64_t width : {40, 13}) {
    const auto count = static_cast<std::size_t>(width) * 7;
    std::vector<std::vector<float>> floats;
    std::vector<std::vector<std::int64_t>> integers;
    for (unsigned k = 0; k < 3; ++k) {
      floats.push_back(random_halves(count, k + 1, 3.0F));
      auto& whole = integers.emplace_back();
      for (const float x : floats.back()) whole.push_back(std::llround(x * 5));
    }
    for (const PointwiseOp op : kAll) {
      for (const bool repeated : {false, true}) {
        if (info(op).floats) expect_same(op, width, repeated, floats);
        if (info(op).integers) expect_same(op, width, repeated, integers);
      }
    }
  }
}

TEST(PointwiseKernel, TakesEightHalvesAThreadWhereThereAreMany) {
  PEREGRINE_NEEDS_GPU();
  const std::size_t count = 64 * 8192;
  const std::vector<float> x = random_halves(count, 1), y = random_halves(count, 2);
  const DeviceBuffer a = to_device_half(x), b = to_device(y), result(count * sizeof(__half));
  poison(result);
  const Shape shape{64, 8192}, strides{8192, 1};
  PointwiseParams p = make_pointwise(shape, strides, std::vector<Shape>{strides, strides});
  p.inputs[0].data = a.data();
  p.inputs[0].dtype = DType::kFloat16;
  p.inputs[1].data = b.data();
  p.output.data = result.data();
  p.output.dtype = DType::kFloat16;
  p.instruction_count = 3;
  p.instructions[0].x = 0;
  p.instructions[1].op = PointwiseOp::kSub;
  p.instructions[1].x = 1;
  p.instructions[1].swapped = true;
  p.instructions[2].op = PointwiseOp::kMul;
  p.instructions[2].x = PointwiseInstruction::kNumber;
  p.instructions[2].x_real = 0.5F;
  ASSERT_EQ(pointwise_width(p), 8);
  const Stream stream = make_stream();
  launch_pointwise(p, true, stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  std::vector<float> expected(count);
  for (std::size_t i = 0; i < count; ++i) expected[i] = (y[i] - x[i]) * 0.5F;
  EXPECT_LT(relative_error(to_host_from_half(result), expected), 4e-4);
}

}  // namespace
}  // namespace peregrine::cuda
