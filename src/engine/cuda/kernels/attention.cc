// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernels/attention.h"

#include "engine/cuda/kernels/attention_kernels.h"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::cuda {
namespace {

bool reads_16_bytes(const AttentionTensor& t) {
  return t.image_stride % 8 == 0 && t.head_stride % 8 == 0 && t.token_stride % 8 == 0 &&
         reinterpret_cast<std::uintptr_t>(t.data) % 16 == 0;
}

}  // namespace

const std::vector<AttentionKernel>& attention_kernels() {
  static const std::vector<AttentionKernel> all = [] {
    std::vector<AttentionKernel> kernels;
    for (auto* more :
         {&row_attention_kernels, &key_attention_kernels, &warpgroup_attention_kernels_32,
          &warpgroup_attention_kernels_32_64, &warpgroup_attention_kernels_64}) {
      const auto list = more();
      kernels.insert(kernels.end(), list.begin(), list.end());
    }
    return kernels;
  }();
  return all;
}

const AttentionKernel* find_attention_kernel(std::string_view name, const AttentionParams& p) {
  for (const AttentionKernel& kernel : attention_kernels()) {
    if (kernel.name == name && p.query_width <= kernel.query_width &&
        p.value_width <= kernel.value_width && (p.plain() ? kernel.plain : kernel.masked)) {
      return &kernel;
    }
  }
  return nullptr;
}

bool attention_supports(const AttentionParams& p) {
  return p.query_width % 8 == 0 && p.value_width % 8 == 0 &&
         find_attention_kernel(kAnyAttention, p) != nullptr && p.batch <= 65535 &&
         p.heads <= 65535 && reads_16_bytes(p.query) && reads_16_bytes(p.key) &&
         reads_16_bytes(p.value) && reads_16_bytes(p.output);
}

void launch_attention(const AttentionKernel& attention, const AttentionParams& p, bool overlapped,
                      cudaStream_t stream) {
  const void* kernel = p.plain() ? attention.plain : attention.masked;
  // Above 48 KB a kernel must be told; the call is cheap and legal during capture.
  CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  attention.shared_bytes));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(ceil_div(p.queries, attention.queries)),
                    static_cast<unsigned>(p.heads), static_cast<unsigned>(p.batch));
  shape.block = dim3(static_cast<unsigned>(attention.threads));
  shape.shared_bytes = attention.shared_bytes;
  shape.overlapped = overlapped;
  launch(kernel, shape, p, stream);
}

}  // namespace peregrine::cuda
