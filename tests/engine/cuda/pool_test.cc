// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/pool.h"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "engine/cuda/gpu.h"

namespace peregrine::cuda {
namespace {

using namespace peregrine::testing;

/// NHWC, packed; windows clipped to the picture.
std::vector<float> pool(const std::vector<float>& in, const PoolParams& p) {
  std::vector<float> out;
  for (int image = 0; image < p.batch; ++image) {
    for (int y = 0; y < p.out_height; ++y) {
      for (int x = 0; x < p.out_width; ++x) {
        for (int c = 0; c < p.channels; ++c) {
          double sum = 0, best = -std::numeric_limits<double>::infinity();
          int count = 0;
          for (int i = 0; i < p.kernel_height; ++i) {
            for (int j = 0; j < p.kernel_width; ++j) {
              const int from_y = y * p.stride_y - p.pad_top + i * p.dilation_y;
              const int from_x = x * p.stride_x - p.pad_left + j * p.dilation_x;
              if (from_y < 0 || from_y >= p.in_height || from_x < 0 || from_x >= p.in_width)
                continue;
              const double value =
                  in[((std::size_t(image) * p.in_height + from_y) * p.in_width + from_x) *
                         p.channels +
                     c];
              sum += value;
              best = std::max(best, value);
              ++count;
            }
          }
          if (p.count_padding) count = p.kernel_height * p.kernel_width;
          out.push_back(float(p.average ? sum / count : best));
        }
      }
    }
  }
  return out;
}

TEST(Pool, AgreesWithPlainLoops) {
  PEREGRINE_NEEDS_GPU();
  for (const bool average : {false, true}) {
    for (const bool count_padding : {false, true}) {
      PoolParams p;
      p.batch = 2;
      p.channels = p.input_stride = p.output_stride = 24;
      p.in_height = 17;
      p.in_width = 21;
      p.kernel_height = 3;
      p.kernel_width = 2;
      p.stride_y = p.stride_x = 2;
      p.pad_top = p.pad_left = 1;
      p.out_height = (17 + 2 - 3) / 2 + 1;
      p.out_width = (21 + 2 - 2) / 2 + 1;
      p.average = average;
      p.count_padding = count_padding;
      const std::vector<float> in = random_halves(std::size_t(2) * 17 * 21 * 24, 7);
      const DeviceBuffer input = to_device_half(in);
      const DeviceBuffer output(std::size_t(2) * p.out_height * p.out_width * 24 * 2);
      poison(output);
      p.input = input.data();
      p.output = output.data();
      ASSERT_TRUE(pool_supports(p));
      const Stream stream = make_stream();
      launch_pool(p, true, stream.get());
      CUDA_CHECK(cudaStreamSynchronize(stream.get()));
      EXPECT_LT(relative_error(to_host_from_half(output), pool(in, p)), average ? 4e-4 : 1e-9);
    }
  }
}

TEST(PoolChain, IsThreePoolsInARow) {
  PEREGRINE_NEEDS_GPU();
  for (const int batch : {1, 9}) {  // 9 takes the wide variant
    const int channels = 64, height = 20, width = 19;
    PoolChainParams chain;
    chain.batch = batch;
    chain.channels = chain.input_stride = chain.output_stride = channels;
    chain.height = height;
    chain.width = width;
    std::vector<float> expected = random_halves(std::size_t(batch) * height * width * channels, 3);
    const DeviceBuffer input = to_device_half(expected);
    chain.input = input.data();
    std::vector<DeviceBuffer> outputs;
    for (void*& output : chain.output) {
      outputs.emplace_back(expected.size() * 2);
      poison(outputs.back());
      output = outputs.back().data();
    }
    ASSERT_TRUE(pool_chain_supports(chain));
    const Stream stream = make_stream();
    launch_pool_chain(chain, true, stream.get());
    CUDA_CHECK(cudaStreamSynchronize(stream.get()));
    PoolParams one;
    one.batch = batch;
    one.channels = channels;
    one.in_height = one.out_height = height;
    one.in_width = one.out_width = width;
    one.kernel_height = one.kernel_width = 5;
    one.pad_top = one.pad_left = 2;
    for (const DeviceBuffer& output : outputs) {
      expected = pool(expected, one);
      EXPECT_EQ(to_host_from_half(output), expected) << "batch " << batch;
    }
  }
}

}  // namespace
}  // namespace peregrine::cuda
