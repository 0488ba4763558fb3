// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime_api.h>

#include "peregrine/detections.h"

namespace peregrine::vision {

constexpr int kTopClasses = 5;

/// The best classes of rows [pictures, classes]: what `ClassifyDecoder` answers, `kTopClasses` (or
/// as many as there are) a picture at `out`. The softmax is summed in another order than on the
/// CPU, in double: the scores are equal but for a rounding that falls the other way once in 10^8.
/// Throws `Error(kGpu)`.
void launch_top_classes(const float* rows, int classes, ClassScore* out, int pictures,
                        cudaStream_t stream);

/// Rows [pictures, features] scaled to unit length; a row of zeros stays. Sums as above. Throws
/// `Error(kGpu)`.
void launch_unit_rows(const float* rows, int features, float* out, int pictures,
                      cudaStream_t stream);

}  // namespace peregrine::vision
