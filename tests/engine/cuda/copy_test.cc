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

}  // namespace
}  // namespace peregrine::cuda
