// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/row.h"

#include <algorithm>
#include <vector>

#include "engine/cuda/gpu.h"

namespace peregrine::cuda {
namespace {

using namespace peregrine::testing;

/// Runs a row kernel in both types and compares; `reference` changes one row in place.
template <typename Launch, typename Reference>
void expect_rows(int rows, int width, float offset, Launch&& launch, Reference&& reference) {
  std::vector<float> input = random_halves(std::size_t(rows) * width, 11, 4.0f);
  for (float& value : input) value = __half2float(__float2half_rn(value + offset));
  const std::vector<float> scale = random_halves(width, 12), bias = random_halves(width, 13);
  std::vector<float> expected = input;
  for (int row = 0; row < rows; ++row) reference(&expected[std::size_t(row) * width], scale, bias);
  for (const bool half : {true, false}) {
    const auto put = [half](const std::vector<float>& v) {
      return half ? to_device_half(v) : to_device(v);
    };
    const DeviceBuffer in = put(input), scales = put(scale), biases = put(bias);
    const DeviceBuffer out(in.bytes());
    poison(out);
    RowParams p;
    p.input = in.data();
    p.output = out.data();
    p.scale = scales.data();
    p.bias = biases.data();
    p.rows = rows;
    p.width = width;
    const Stream stream = make_stream();
    launch(p, half, stream.get());
    CUDA_CHECK(cudaStreamSynchronize(stream.get()));
    const std::vector<float> answer = half ? to_host_from_half(out) : to_host<float>(out);
    // In FP32 the mean of values near 300 is off by 300 * 2^-24, a hundred-thousandth of their
    // spread.
    EXPECT_LT(relative_error(answer, expected), half ? 4e-4 : 1e-5) << width << " half " << half;
  }
}

TEST(Softmax, AgreesWithPlainLoops) {
  PEREGRINE_NEEDS_GPU();
  for (const int width : {1, 16, 31, 400, 1000}) {
    expect_rows(
        13, width, 0.0f,
        [](const RowParams& p, bool half, cudaStream_t stream) {
          launch_softmax(p, half, true, stream);
        },
        [&](float* row, const auto&, const auto&) {
          const double best = *std::max_element(row, row + width);
          double sum = 0;
          for (int i = 0; i < width; ++i) sum += std::exp(row[i] - best);
          for (int i = 0; i < width; ++i) row[i] = float(std::exp(row[i] - best) / sum);
        });
  }
}

TEST(LayerNorm, AgreesWithPlainLoopsAlsoFarFromZero) {
  PEREGRINE_NEEDS_GPU();
  for (const float offset : {0.0f, 300.0f}) {
    for (const int width : {32, 77, 768}) {
      expect_rows(
          9, width, offset,
          [](const RowParams& p, bool half, cudaStream_t stream) {
            launch_layer_norm(p, half, true, stream);
          },
          [&](float* row, const auto& scale, const auto& bias) {
            double mean = 0, variance = 0;
            for (int i = 0; i < width; ++i) mean += row[i] / double(width);
            for (int i = 0; i < width; ++i) variance += (row[i] - mean) * (row[i] - mean) / width;
            const double inverse = 1 / std::sqrt(variance + 1e-5);
            for (int i = 0; i < width; ++i) {
              row[i] = float((row[i] - mean) * inverse * scale[i] + bias[i]);
            }
          });
    }
  }
}

}  // namespace
}  // namespace peregrine::cuda
