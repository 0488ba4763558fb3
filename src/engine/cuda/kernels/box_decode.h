// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace peregrine::cuda {

/// One FP32 tensor [batch, channels, anchors] of any strides, in elements.
struct AnchorTensor {
  float* data = nullptr;
  std::int64_t image_stride = 0, channel_stride = 0, anchor_stride = 0;
};

/// Boxes from distributions of distances, scores by sigmoid: Op::kBoxDecode, whose formula stands
/// in model/reference/box_decode.cc. Quickest where the input's channels and the output's anchors
/// are contiguous.
struct BoxDecodeParams {
  AnchorTensor logits;             ///< [batch, 4 * bins, anchors]
  AnchorTensor scores;             ///< [batch, classes, anchors]
  AnchorTensor output;             ///< [batch, 4 + classes, anchors]
  const float* anchors = nullptr;  ///< [4, anchors]
  const float* strides = nullptr;  ///< [anchors]
  const float* bins = nullptr;     ///< [bins]
  int batch = 1, anchor_count = 0, bin_count = 16, class_count = 0;
  bool corners = false;
};

constexpr int kMostBoxBins = 64;
void launch_box_decode(const BoxDecodeParams& params, bool overlapped, cudaStream_t stream);

}  // namespace peregrine::cuda
