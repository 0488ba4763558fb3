// SPDX-License-Identifier: Apache-2.0
#include "vision/decode_detr_cuda.h"

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"
#include "vision/candidates_cuda.cuh"

namespace peregrine::vision {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;

__device__ const float* scores_of(const DetrScanParams& p, int query) {
  return p.scores + static_cast<std::ptrdiff_t>(blockIdx.y) * p.layout.scores_a_picture +
         p.layout.score_offset + query * p.layout.score_stride;
}

// The surest class of each query, a warp a query. `kSoftmax`: its probability among all logits,
// "no object" the last of them; else scores are probabilities already.
template <bool kSoftmax>
__global__ void __launch_bounds__(kThreads) scan_queries(const __grid_constant__ DetrScanParams p) {
  cuda::let_next_kernel_start();
  cuda::wait_for_previous_kernel();
  const int query = static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / 32;
  if (query >= p.layout.queries) return;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const float* scores = scores_of(p, query);
  BestClass best = best_class(scores, p.class_count);
  if constexpr (kSoftmax) {
    const float highest = best_class(scores, p.layout.columns).score;
    double sum = 0;
    for (int c = lane; c < p.layout.columns; c += 32) sum += softmax_term(scores[c], highest);
    for (int distance = 16; distance > 0; distance /= 2) {
      sum += __shfl_xor_sync(kAll, sum, distance);
    }
    best.score = static_cast<float>(softmax_term(best.score, highest) / sum);
  }
  append(p.lists, p.allowed, lane == 0 && best.score > p.confidence, query, best.score,
         best.class_id);
}

// Classes do not exclude each other: each that is sure enough is an object.
__global__ void __launch_bounds__(kThreads) scan_sigmoid(const __grid_constant__ DetrScanParams p) {
  cuda::let_next_kernel_start();
  cuda::wait_for_previous_kernel();
  const int entry = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  const int class_id = entry % p.class_count;
  float score = 0;
  bool passes = false;
  if (entry < p.lists.entries) {
    score = sigmoid_score(scores_of(p, entry / p.class_count)[class_id]);
    passes = score > p.confidence;
  }
  append(p.lists, p.allowed, passes, entry, score, class_id);
}

}  // namespace

void launch_detr_scan(Head head, const DetrScanParams& params, int pictures, cudaStream_t stream) {
  const bool sigmoid = head == Head::kDetrSigmoid;
  const void* kernel = sigmoid               ? reinterpret_cast<const void*>(&scan_sigmoid)
                       : head == Head::kDetr ? reinterpret_cast<const void*>(&scan_queries<true>)
                                             : reinterpret_cast<const void*>(&scan_queries<false>);
  cuda::LaunchShape shape;
  shape.grid =
      dim3(static_cast<unsigned>(cuda::ceil_div(params.lists.entries, sigmoid ? kThreads : kWarps)),
           static_cast<unsigned>(pictures));
  shape.block = dim3(kThreads);
  shape.overlapped = false;  // what comes before need not know of programmatic launches
  cuda::launch(kernel, shape, params, stream);
}

}  // namespace peregrine::vision
