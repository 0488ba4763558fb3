// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "peregrine/tensor.h"
#include "vision/preprocess_kernel.h"
#include "vision/resample.h"

namespace peregrine::vision {

/// `resample`'s job for the kernel. Throws `Error(kInvalidArgument)` for a frame that is empty, not
/// on `device`, or has planes that the kernel cannot read whole samples from.
PictureJob plan_picture(const Frame& frame, const ResampleJob& job, Device device);

/// `out` as the kernel writes it, with the size and normalisation that all jobs of `input` share.
/// Throws `Error(kInvalidShape)` unless it is float32 or float16 [pictures, 3, height, width] on a
/// GPU.
PreprocessTarget plan_target(const TensorView& out, std::size_t pictures, const ResampleJob& any);

}  // namespace peregrine::vision
