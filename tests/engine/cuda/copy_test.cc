// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/copy.h"

#include <vector>

#include "engine/cuda/gpu.h"

namespace peregrine::cuda {
namespace {

using namespace peregrine::testing;

TEST(Copy, OfPlanesToPixelsConverts) {
  PEREGRINE_NEEDS_GPU();
  const int batch = 2, channels = 3, pixels = 35, wide = 8;  // into a tensor of eight channels
  const std::vector<float> planes = random_halves(batch * channels * pixels, 1);
  const DeviceBuffer input = to_device(planes);
  const DeviceBuffer output(std::size_t(batch) * pixels * wide * 2);
  poison(output);
  CopyParams p = make_copy(Shape{batch, pixels, channels}, Shape{channels * pixels, 1, pixels},
                           Shape{pixels * wide, wide, 1});
  p.input = input.data();
  p.output = output.data();
  const Stream stream = make_stream();
  launch_copy(p, DType::kFloat32, DType::kFloat16, true, stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  const std::vector<float> answer = to_host_from_half(output);
  for (int n = 0; n < batch; ++n) {
    for (int i = 0; i < pixels; ++i) {
      for (int c = 0; c < wide; ++c) {
        const float value = answer[(n * pixels + i) * wide + c];
        if (c < channels) {
          EXPECT_EQ(value, planes[(n * channels + c) * pixels + i]);
        } else {
          EXPECT_TRUE(std::isnan(value)) << "wrote a channel that is not its own";
        }
      }
    }
  }
}

TEST(Copy, RepeatsAndReverses) {
  PEREGRINE_NEEDS_GPU();
  const std::vector<std::int64_t> values = {10, 11, 12, 13};
  const DeviceBuffer input = to_device(values), output(8 * 3);
  CopyParams p = make_copy(Shape{3}, Shape{-1}, Shape{1});
  p.input = input.as<std::int64_t>() + 3;
  p.output = output.data();
  const Stream stream = make_stream();
  launch_copy(p, DType::kInt64, DType::kInt64, true, stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  EXPECT_EQ(to_host<std::int64_t>(output), (std::vector<std::int64_t>{13, 12, 11}));
  p = make_copy(Shape{3}, Shape{0}, Shape{1});
  p.input = input.data();
  p.output = output.data();
  launch_copy(p, DType::kInt64, DType::kInt64, true, stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  EXPECT_EQ(to_host<std::int64_t>(output), (std::vector<std::int64_t>{10, 10, 10}));
}

// Every way through launch_copy, each with an odd size: groups of 16, 8 and 4 bytes, conversions of
// four at once, squares, single elements.
TEST(Copy, TakesEveryPathRight) {
  PEREGRINE_NEEDS_GPU();
  struct Row {
    Shape shape, input, output;  // both at most kElements
  };
  constexpr std::size_t kElements = 1 << 16;
  const Row rows[] = {
      {{3, 40, 24}, {1600, 40, 1}, {1280, 32, 1}},              // 16 bytes of FP16
      {{3, 40, 20}, {1600, 40, 1}, {1280, 32, 1}},              // 8
      {{3, 40, 18}, {1800, 42, 1}, {1400, 34, 1}},              // 4
      {{2, 40, 33, 7}, {9240, 231, 7, 1}, {9240, 1, 280, 40}},  // planes to pixels
      {{2, 40, 33, 7}, {9240, 1, 280, 40}, {9240, 231, 7, 1}},  // and back
      {{5, 3, 7}, {21, 1, 3}, {21, 7, 1}},                      // too short for squares
  };
  const std::vector<float> values = random_halves(kElements, 3);
  const DeviceBuffer singles = to_device(values), halves = to_device_half(values);
  const Stream stream = make_stream();
  for (const Row& row : rows) {
    for (const DType from : {DType::kFloat32, DType::kFloat16}) {
      for (const DType to : {DType::kFloat32, DType::kFloat16}) {
        SCOPED_TRACE(to_string(row.shape) + to_string(from) + to_string(to));
        const DeviceBuffer output(kElements * size_of(to));
        poison(output);
        CopyParams p = make_copy(row.shape, row.input, row.output);
        p.input = from == DType::kFloat32 ? singles.data() : halves.data();
        p.output = output.data();
        launch_copy(p, from, to, true, stream.get());
        CUDA_CHECK(cudaStreamSynchronize(stream.get()));
        std::vector<float> expected(kElements, NAN);
        const Shape packed = packed_strides(row.shape);
        for (std::int64_t i = 0; i < element_count(row.shape); ++i) {
          std::int64_t source = 0, place = 0;
          for (std::size_t d = 0; d < row.shape.size(); ++d) {
            const std::int64_t at = i / packed[d] % row.shape[d];
            source += at * row.input[d];
            place += at * row.output[d];
          }
          expected[std::size_t(place)] = values[std::size_t(source)];
        }
        const std::vector<float> answer =
            to == DType::kFloat32 ? to_host<float>(output) : to_host_from_half(output);
        for (std::size_t i = 0; i < kElements; ++i) {
          if (std::isnan(expected[i])) {
            ASSERT_TRUE(std::isnan(answer[i])) << "wrote element " << i;
          } else {
            ASSERT_EQ(answer[i], expected[i]) << "element " << i;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace peregrine::cuda
