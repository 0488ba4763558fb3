// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/attention_tactics.h"

#include <algorithm>
#include <string>
#include <vector>

#include "engine/cuda/gpu.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

using namespace peregrine::testing;

enum class Layout {
  kHeads,  // of a token: Q K V of head 0, Q K V of head 1, ... (YOLO11)
  kParts,  // of a token: Q of all heads, K of all heads, V of all heads (vision transformers)
};

struct Case {
  const char* name;
  int batch, heads, queries, keys, query_width, value_width;
  Layout layout = Layout::kParts;
  int heads_per_key = 1;
  float sharpness = 1.0F;  // times 1 / sqrt(width): the scale
};

const Case kCases[] = {
    {"C2PSA", 2, 2, 400, 400, 32, 64, Layout::kHeads},
    {"ViT", 3, 12, 50, 50, 64, 64},
    {"DETR encoder", 1, 8, 625, 625, 32, 32},
    {"cross attention", 1, 8, 100, 625, 32, 32},
    {"area attention", 8, 2, 400, 400, 32, 32, Layout::kHeads},
    {"long", 1, 2, 300, 1370, 64, 64},
    {"one token", 2, 1, 1, 1, 32, 64, Layout::kHeads},
    {"one past a tile", 1, 2, 65, 129, 64, 64},
    {"one past a block", 2, 1, 129, 257, 32, 64},
    {"narrow heads", 1, 3, 70, 200, 24, 40},
    {"wide heads", 1, 2, 70, 90, 72, 128},
    {"shared keys", 2, 4, 33, 300, 32, 32, Layout::kParts, 2},
    {"all weight on one key", 1, 2, 100, 500, 64, 64, Layout::kParts, 1, 20.0F},
    {"negative scale", 1, 2, 100, 100, 32, 32, Layout::kParts, 1, -1.0F},
};

/// One tensor of FP16 that holds Q, K and V, and where each lies in it.
struct Problem {
  std::vector<float> qkv;
  AttentionParams params;     // without addresses
  std::size_t first[3] = {};  // elements

  double at(const AttentionTensor& t, int part, int image, int head, int token, int i) const {
    return qkv[first[part] + std::size_t(image) * t.image_stride +
               std::size_t(head) * t.head_stride + std::size_t(token) * t.token_stride + i];
  }
};

Problem make_problem(const Case& c) {
  Problem problem;
  AttentionParams& p = problem.params;
  p.batch = c.batch;
  p.heads = c.heads;
  p.heads_per_key = c.heads_per_key;
  p.queries = c.queries;
  p.keys = c.keys;
  p.query_width = c.query_width;
  p.value_width = c.value_width;
  p.scale = c.sharpness / std::sqrt(float(c.query_width));
  const int tokens = std::max(c.queries, c.keys), key_heads = c.heads / c.heads_per_key;
  const int widths[3] = {c.query_width, c.query_width, c.value_width};
  const int heads[3] = {c.heads, key_heads, key_heads};
  int row = 0, one_head = 0;
  for (int part = 0; part < 3; ++part) {
    problem.first[part] = std::size_t(c.layout == Layout::kHeads ? one_head : row);
    one_head += widths[part];
    row += widths[part] * heads[part];
  }
  AttentionTensor* tensors[3] = {&p.query, &p.key, &p.value};
  for (int part = 0; part < 3; ++part) {
    *tensors[part] = {nullptr, std::int64_t(tokens) * row,
                      c.layout == Layout::kHeads ? one_head : widths[part], row};
  }
  const int out_row = c.heads * c.value_width;
  p.output = {nullptr, std::int64_t(c.queries) * out_row, c.value_width, out_row};
  // Scores of up to about 10: sharp enough that a wrong maximum or rescaling shows.
  problem.qkv = random_halves(std::size_t(c.batch) * tokens * row, 5, 2.0F);
  return problem;
}

/// In double precision, packed as the output is.
std::vector<float> expected(const Problem& problem) {
  const AttentionParams& p = problem.params;
  std::vector<float> result;
  std::vector<double> weight(p.keys), value(p.value_width);
  for (int image = 0; image < p.batch; ++image) {
    for (int q = 0; q < p.queries; ++q) {
      for (int head = 0; head < p.heads; ++head) {
        const int key_head = head / p.heads_per_key;
        double best = -1e30, sum = 0;
        for (int k = 0; k < p.keys; ++k) {
          weight[k] = 0;
          for (int i = 0; i < p.query_width; ++i) {
            weight[k] += problem.at(p.query, 0, image, head, q, i) *
                         problem.at(p.key, 1, image, key_head, k, i) * p.scale;
          }
          best = std::max(best, weight[k]);
        }
        std::fill(value.begin(), value.end(), 0.0);
        for (int k = 0; k < p.keys; ++k) {
          const double w = std::exp(weight[k] - best);
          sum += w;
          for (int i = 0; i < p.value_width; ++i) {
            value[i] += w * problem.at(p.value, 2, image, key_head, k, i);
          }
        }
        for (const double v : value) result.push_back(float(v / sum));
      }
    }
  }
  return result;
}

class AttentionTest : public ::testing::TestWithParam<Case> {};

TEST_P(AttentionTest, EveryTacticAgreesWithPlainLoops) {
  PEREGRINE_NEEDS_GPU();
  const Problem problem = make_problem(GetParam());
  const std::vector<float> right = expected(problem);
  const DeviceBuffer input = to_device_half(problem.qkv), output(right.size() * 2);
  AttentionParams p = problem.params;
  p.query.data = input.as<__half>() + problem.first[0];
  p.key.data = input.as<__half>() + problem.first[1];
  p.value.data = input.as<__half>() + problem.first[2];
  p.output.data = output.data();
  ASSERT_TRUE(attention_supports(p));
  const Stream stream = make_stream();
  for (const AttentionTactic& tactic : attention_tactics(p, device_info(0), 1000)) {
    poison(output);
    tactic.launch(p, true, stream.get());
    CUDA_CHECK(cudaStreamSynchronize(stream.get()));
    // The weights are rounded to FP16 for the second product: one rounding more than a convolution.
    const std::vector<float> first = to_host_from_half(output);
    EXPECT_LT(relative_error(first, right), 1e-3) << tactic.name;
    // Warps that wait for each other wrongly would differ from run to run.
    for (int i = 0; i < 20; ++i) tactic.launch(p, true, stream.get());
    CUDA_CHECK(cudaStreamSynchronize(stream.get()));
    EXPECT_EQ(to_host_from_half(output), first) << tactic.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, AttentionTest, ::testing::ValuesIn(kCases), [](const auto& c) {
  std::string name;
  for (const char* s = c.param.name; *s; ++s) name += std::isalnum(*s) ? *s : '_';
  return name;
});

DeviceInfo hopper() {
  DeviceInfo device;
  device.compute_major = 9;
  device.multiprocessors = 132;
  device.shared_bytes_per_block = 227 * 1024;
  return device;
}

DeviceInfo ampere() {
  DeviceInfo device;
  device.compute_major = 8;
  device.multiprocessors = 108;
  device.shared_bytes_per_block = 163 * 1024;
  return device;
}

TEST(AttentionTactics, NamesAreKnownAndUnique) {
  for (const Case& c : kCases) {
    const AttentionParams p = make_problem(c).params;
    std::vector<std::string> names;
    for (const AttentionTactic& tactic : attention_tactics(p, hopper(), 1000)) {
      EXPECT_EQ(named_attention_tactic(tactic.name, p).name, tactic.name);
      names.push_back(tactic.name);
    }
    ASSERT_FALSE(names.empty());
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
  }
}

TEST(AttentionTactics, OlderDevicesGetWhatTheyCanRun) {
  for (const Case& c : kCases) {
    const auto tactics = attention_tactics(make_problem(c).params, ampere(), 1000);
    ASSERT_FALSE(tactics.empty());
    for (const AttentionTactic& tactic : tactics) {
      EXPECT_EQ(tactic.name.find("wg"), std::string::npos) << tactic.name;
      EXPECT_EQ(tactic.name.find('/'), std::string::npos) << tactic.name;
    }
  }
}

// As measured on an H200: few queries go to the kernels that share out keys, many to the tall
// tiles.
TEST(AttentionTactics, TheFirstChoiceSuitsTheGrid) {
  const auto first = [](int batch, int heads, int tokens, int query_width, int value_width) {
    const Case c{"", batch, heads, tokens, tokens, query_width, value_width};
    return attention_tactics(make_problem(c).params, hopper()).front().name;
  };
  EXPECT_EQ(first(1, 6, 1370, 64, 64), "attention 64x256 wg");  // Depth-Anything
  EXPECT_EQ(first(8, 6, 1370, 64, 64), "attention 128x64 wg");  // and a batch of it
  EXPECT_EQ(first(1, 2, 400, 32, 64), "attention 16x256 mma");  // C2PSA
  EXPECT_EQ(first(8, 2, 400, 32, 64), "attention 64x256 wg");
  EXPECT_EQ(first(1, 12, 50, 64, 64), "attention 16x256 mma");  // CLIP
}

TEST(AttentionTactics, AMaskLeavesTheKernelThatReadsIt) {
  AttentionParams p = make_problem(kCases[0]).params;
  p.causal = true;
  const auto tactics = attention_tactics(p, hopper(), 1000);
  ASSERT_EQ(tactics.size(), 1u);
  EXPECT_EQ(tactics[0].name, "attention 64x64 mma");
  EXPECT_THROW(named_attention_tactic("attention 64x256 wg", p), Error);
}

TEST(AttentionTactics, AnUnknownNameSaysWhatToDo) {
  try {
    named_attention_tactic("attention 7x7", make_problem(kCases[0]).params);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kPlanMismatch);
    EXPECT_NE(std::string(error.what()).find("'attention 7x7'"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("build it again"), std::string::npos);
  }
}

}  // namespace
}  // namespace peregrine::cuda
