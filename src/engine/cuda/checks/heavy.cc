// SPDX-License-Identifier: Apache-2.0
// Products, pools and attention.
#include <algorithm>

#include "compiler/strided.h"
#include "engine/cuda/checks/window.h"
#include "engine/cuda/kernels/attention.h"
#include "engine/cuda/kernels/attention_strided.h"
#include "engine/cuda/kernels/box_decode.h"
#include "engine/cuda/kernels/pool.h"
#include "engine/cuda/ops/conv_work.h"
#include "engine/cuda/ops/operands.h"

namespace peregrine::cuda {

using compiler::Operand;

namespace {

constexpr std::int64_t kMostBlocks = 65535;  // along y and z of a grid

void check_product(const CheckedStep& step) {
  const Operand &a = step.input(0), &b = step.input(1), &y = step.output();
  step.require_rank(y, 2, 16);
  for (const Operand* each : {&a, &b, &y}) step.require_float(*each);
  Shape left = y.shape, right = y.shape;
  step.require_rank(a, y.rank(), y.rank());
  left.back() = right[right.size() - 2] = a.shape.back();
  step.require(a.shape == left && b.shape == right, "its matrices do not fit each other");
  for (const std::size_t i : {2U, 3U}) {
    if (step.optional_input(i).is_absent()) continue;
    step.require_float(step.input(i));
    step.require_same_shape(step.input(i), y);
  }
}

}  // namespace

void check_matmul(const CheckedStep& step) { check_product(step); }
void check_matmul_float(const CheckedStep& step) { check_product(step); }

void check_pool(const CheckedStep& step) {
  const Operand &x = step.input(0), &y = step.output();
  require_half_picture(step, x);
  require_half_picture(step, y);
  check_window(step, x, y);
  step.require(x.shape[1] == y.shape[1], "its result has other channels");
}

void check_pool_chain(const CheckedStep& step) {
  const Operand& x = step.input(0);
  require_half_picture(step, x);
  for (const std::size_t i : {0U, 1U, 2U}) {
    require_half_picture(step, step.output(i));
    step.require_same_shape(step.output(i), x);
    step.require(step.output(i).strides == step.output(0).strides, "its results lie differently");
  }
  step.require(element_count(x.shape) <= CheckedStep::kMost && x.shape[0] <= kMostBlocks,
               "its picture is too large");
  PoolChainParams p;
  p.channels = static_cast<int>(x.shape[1]);
  p.height = static_cast<int>(x.shape[2]);
  p.width = static_cast<int>(x.shape[3]);
  p.kernel = static_cast<int>(step.numbers("kernel", 2, 1)[0]);
  step.require(pool_chain_supports(p), "the kernel does not take such a picture");
}

void check_global_pool(const CheckedStep& step) {
  const Operand &x = step.input(0), &y = step.output();
  require_half_picture(step, x);
  step.require_float(y);
  step.require_rank(y, 4, 4);
  step.require(y.shape == Shape{x.shape[0], x.shape[1], 1, 1} &&
                   (y.shape[1] == 1 || y.strides[1] == 1) && x.shape[0] <= kMostBlocks &&
                   x.shape[2] * x.shape[3] <= CheckedStep::kMost,
               "its result does not fit its pictures");
}

void check_pool_strided(const CheckedStep& step) {
  const Operand &x = step.input(0), &y = step.output();
  step.require_rank(x, 3, 5);
  step.require_float(x);
  step.require_float(y);
  const CheckedWindow window = check_window(step, x, y);
  step.numbers("pads_end", window.kernel.size(), -CheckedStep::kMost);
  step.require(x.shape[1] == y.shape[1], "its result has other channels");
  if (const Operand& indices = step.optional_output(1); !indices.is_absent()) {
    step.require_same_shape(indices, y);
    step.require_dtype(indices, DType::kInt64);
  }
}

namespace {

// [batch, head, token, depth] each; several heads may share a key.
void check_heads(const CheckedStep& step) {
  const Operand &q = step.input(0), &k = step.input(1), &v = step.input(2), &y = step.output();
  for (const Operand* each : {&q, &k, &v, &y}) {
    step.require_rank(*each, 4, 4);
    step.require_float(*each);
  }
  const std::int64_t heads = q.shape[1], of_keys = k.shape[1];
  step.require(of_keys > 0 && heads % of_keys == 0 && q.shape[0] <= kMostBlocks &&
                   heads <= kMostBlocks && q.shape[2] <= CheckedStep::kMost &&
                   k.shape[2] <= CheckedStep::kMost,
               "it has too many heads, or shares keys unevenly");
  step.require(k.shape == Shape{q.shape[0], of_keys, k.shape[2], q.shape[3]} &&
                   v.shape == Shape{q.shape[0], of_keys, k.shape[2], v.shape[3]} &&
                   y.shape == Shape{q.shape[0], heads, q.shape[2], v.shape[3]},
               "its queries, keys and values do not fit each other");
  step.require(q.shape[3] <= kAttentionStridedLimit && v.shape[3] <= kAttentionStridedLimit,
               "its heads are too wide");
  step.number("past", 0, 0, CheckedStep::kMost - q.shape[2]);
  const Operand& mask = step.optional_input(3);
  if (mask.is_absent()) return;
  if (mask.dtype != DType::kBool) step.require_float(mask);
  step.require(mask.shape == Shape{q.shape[0], heads, q.shape[2], k.shape[2]},
               "its mask does not fit its scores");
}

}  // namespace

void check_attention(const CheckedStep& step) {
  check_heads(step);
  for (const Operand* each : {&step.input(0), &step.input(1), &step.input(2), &step.output()}) {
    step.require(is_aligned_half(*each, 3), "an operand is not FP16 in eights");
  }
  AttentionParams p;
  p.query_width = static_cast<int>(step.input(0).shape[3]);
  p.value_width = static_cast<int>(step.input(2).shape[3]);
  step.require(attention_supports(p), "no kernel takes such heads");
}

void check_attention_strided(const CheckedStep& step) { check_heads(step); }

void check_box_decode(const CheckedStep& step) {
  const Operand &logits = step.input(0), &y = step.output();
  for (const Operand* each : {&logits, &y}) {
    step.require_rank(*each, 3, 3);
    step.require_dtype(*each, DType::kFloat32);
  }
  const std::int64_t images = logits.shape[0], anchors = logits.shape[2],
                     bins = logits.shape[1] / 4;
  step.require(images <= kMostBlocks && anchors <= CheckedStep::kMost && bins >= 1 &&
                   bins <= kMostBoxBins && logits.shape[1] == 4 * bins,
               "its distances have an odd number of bins");
  step.require_constants(step.input(1), DType::kFloat32, 4 * anchors);
  step.require_constants(step.input(2), DType::kFloat32, anchors);
  step.require_constants(step.input(3), DType::kFloat32, bins);
  std::int64_t classes = 0;
  if (const Operand& scores = step.optional_input(4); !scores.is_absent()) {
    step.require_rank(scores, 3, 3);
    step.require_dtype(scores, DType::kFloat32);
    classes = scores.shape[1];
    step.require(scores.shape == Shape{images, classes, anchors},
                 "its scores do not fit its boxes");
  }
  step.require(y.shape == Shape{images, 4 + classes, anchors}, "its result does not fit its boxes");
}

}  // namespace peregrine::cuda
