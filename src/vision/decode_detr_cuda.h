// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include "vision/candidates_cuda.h"
#include "vision/detr_layout.h"

namespace peregrine::vision {

/// Which queries of a batch are objects. An entry of the lists is a query, with kDetrSigmoid a
/// class of one: query * classes + class.
struct DetrScanParams {
  DetrLayout layout;
  const float* scores = nullptr;  ///< the output that holds them, of picture 0
  int class_count = 0;
  float confidence = 0;
  const std::uint8_t* allowed = nullptr;  ///< by class; null allows all
  CandidateLists lists;
};

/// Throws `Error(kGpu)`.
void launch_detr_scan(Head head, const DetrScanParams& params, int pictures, cudaStream_t stream);

}  // namespace peregrine::vision
