// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/cuda/kernel_table.h"
#include "engine/cuda/kernels/grid_sample.h"
#include "engine/cuda/kernels/resize.h"
#include "engine/cuda/kernels/roi_align.h"

namespace peregrine::cuda {

/// inputs: x, positions, weights.
ResizeParams resize_params(const BoundStep& step);
/// inputs: x, grid.
GridSampleParams grid_sample_params(const BoundStep& step);
/// inputs: x, boxes, pictures.
RoiAlignParams roi_align_params(const BoundStep& step);

}  // namespace peregrine::cuda
