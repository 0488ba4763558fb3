// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/attention.h"

#include <algorithm>
#include <vector>

#include "engine/cuda/gpu.h"

namespace peregrine::cuda {
namespace {

using namespace peregrine::testing;

struct Case {
  const char* name;
  int batch, heads, queries, keys, query_width, value_width;
};

const Case kCases[] = {
    {"C2PSA", 2, 2, 400, 400, 32, 64},           {"ViT", 3, 12, 50, 50, 64, 64},
    {"cross attention", 1, 8, 100, 625, 32, 32}, {"one token", 2, 1, 1, 1, 32, 64},
    {"one past a tile", 1, 2, 65, 129, 64, 64},
};

class AttentionTest : public ::testing::TestWithParam<Case> {};

// Q, K and V of a head lie side by side in one tensor, as a fused projection leaves them.
TEST_P(AttentionTest, AgreesWithPlainLoops) {
  PEREGRINE_NEEDS_GPU();
  const Case& c = GetParam();
  const int tokens = std::max(c.queries, c.keys), head = 2 * c.query_width + c.value_width;
  const int stride = c.heads * head, out_stride = c.heads * c.value_width;
  // Scores of up to about 10: sharp enough that a wrong maximum or rescaling shows.
  const std::vector<float> qkv = random_halves(std::size_t(c.batch) * tokens * stride, 5, 2.0f);
  const float scale = 1.0f / std::sqrt(float(c.query_width));
  const auto at = [&](int image, int token, int h, int i) {
    return double(qkv[(std::size_t(image) * tokens + token) * stride + h * head + i]);
  };
  std::vector<float> expected;
  std::vector<double> weight(c.keys);
  for (int image = 0; image < c.batch; ++image) {
    for (int q = 0; q < c.queries; ++q) {
      for (int h = 0; h < c.heads; ++h) {
        double best = -1e30, sum = 0;
        for (int k = 0; k < c.keys; ++k) {
          weight[k] = 0;
          for (int i = 0; i < c.query_width; ++i) {
            weight[k] += at(image, q, h, i) * at(image, k, h, c.query_width + i) * scale;
          }
          best = std::max(best, weight[k]);
        }
        for (double& w : weight) sum += w = std::exp(w - best);
        for (int i = 0; i < c.value_width; ++i) {
          double value = 0;
          for (int k = 0; k < c.keys; ++k) {
            value += weight[k] / sum * at(image, k, h, 2 * c.query_width + i);
          }
          expected.push_back(float(value));
        }
      }
    }
  }

  const DeviceBuffer input = to_device_half(qkv);
  const DeviceBuffer output(expected.size() * 2);
  poison(output);
  AttentionParams p;
  const auto part = [&](int first) {
    return AttentionTensor{input.as<__half>() + first, std::int64_t(tokens) * stride, head, stride};
  };
  p.query = part(0);
  p.key = part(c.query_width);
  p.value = part(2 * c.query_width);
  p.output = {output.data(), std::int64_t(c.queries) * out_stride, c.value_width, out_stride};
  p.batch = c.batch;
  p.heads = c.heads;
  p.queries = c.queries;
  p.keys = c.keys;
  p.query_width = c.query_width;
  p.value_width = c.value_width;
  p.scale = scale;
  ASSERT_TRUE(attention_supports(p));
  const Stream stream = make_stream();
  launch_attention(p, true, stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  // The weights are rounded to FP16 for the second product: one rounding more than a convolution.
  EXPECT_LT(relative_error(to_host_from_half(output), expected), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(All, AttentionTest, ::testing::ValuesIn(kCases), [](const auto& c) {
  std::string name;
  for (const char* s = c.param.name; *s; ++s) name += std::isalnum(*s) ? *s : '_';
  return name;
});

}  // namespace
}  // namespace peregrine::cuda
