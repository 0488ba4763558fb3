// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/unit.h"
#include "engine/cuda/kernels/walk.h"

namespace peregrine::cuda {

struct RoiAlignParams {
  const void* input = nullptr;
  const void* boxes = nullptr;     ///< [n, 4]: x1 y1 x2 y2, float32 or float16
  const void* pictures = nullptr;  ///< [n]: which of the batch
  void* output = nullptr;
  DType dtype = DType::kFloat32;  ///< of input and output; float32 or float16
  bool half_boxes = false;
  bool wide = true;  ///< `pictures` is int64, else int32
  bool half_pixel = true, average = true;
  float scale = 1;
  std::int32_t samples = 0;  ///< a side of each cell; 0: as many as its size in pixels
  std::int32_t batch = 0, height = 0, width = 0, rows = 0,
               columns = 0;                                            ///< rows, columns: of cells
  std::int32_t picture_stride = 0, row_stride = 0, column_stride = 0;  ///< in the input
  std::int32_t entry_stride = 1;                                       ///< in `boxes`
  Walk<6> walk;  ///< output, input channel, boxes, pictures, cell row, cell column
};

/// Boxes and cells in double precision: how many samples a cell takes is a rounded-up size, which
/// must not differ by one.
template <typename T>
struct RoiAlignBody {
  using Params = RoiAlignParams;

  static PEREGRINE_HOST_DEVICE double edge(const Params& p, int at) {
    const float value = p.half_boxes ? __half2float(static_cast<const __half*>(p.boxes)[at])
                                     : static_cast<const float*>(p.boxes)[at];
    return static_cast<double>(value) * static_cast<double>(p.scale) - (p.half_pixel ? 0.5 : 0.0);
  }
  static PEREGRINE_HOST_DEVICE int samples_of(const Params& p, double size) {
    if (p.samples > 0) return p.samples;
    return static_cast<int>(ceil(size < 0 ? 0.0 : size > 1e4 ? 1e4 : size));
  }
  /// Adds the four weighted neighbours of (y, x); nothing outside the picture.
  static PEREGRINE_HOST_DEVICE void take(const Params& p, const T* plane, float y, float x,
                                         float& sum, float& largest) {
    float values[4] = {};
    const auto height = static_cast<float>(p.height), width = static_cast<float>(p.width);
    if (y >= -1 && y <= height && x >= -1 && x <= width) {
      y = y < 0 ? 0 : y > height - 1 ? height - 1 : y;
      x = x < 0 ? 0 : x > width - 1 ? width - 1 : x;
      const int y0 = static_cast<int>(y), x0 = static_cast<int>(x);
      const int y1 = y0 + 1 < p.height ? y0 + 1 : y0;
      const int x1 = x0 + 1 < p.width ? x0 + 1 : x0;
      const float fy = y - static_cast<float>(y0), fx = x - static_cast<float>(x0);
      const T* upper = plane + y0 * p.row_stride;
      const T* lower = plane + y1 * p.row_stride;
      values[0] = (1 - fy) * (1 - fx) * converted<float>(upper[x0 * p.column_stride]);
      values[1] = (1 - fy) * fx * converted<float>(upper[x1 * p.column_stride]);
      values[2] = fy * (1 - fx) * converted<float>(lower[x0 * p.column_stride]);
      values[3] = fy * fx * converted<float>(lower[x1 * p.column_stride]);
    }
    // "max" compares the weighted neighbours themselves: so ONNX and its runtimes define it.
    PEREGRINE_UNROLL
    for (int i = 0; i < 4; ++i) {
      sum += values[i];
      largest = values[i] > largest ? values[i] : largest;
    }
  }

  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[6];
    p.walk.offsets(index, at);
    const double left = edge(p, at[2]), top = edge(p, at[2] + p.entry_stride);
    double width = edge(p, at[2] + 2 * p.entry_stride) - left;
    double height = edge(p, at[2] + 3 * p.entry_stride) - top;
    if (!p.half_pixel) {
      width = width < 1 ? 1 : width;
      height = height < 1 ? 1 : height;
    }
    const double cell_height = height / p.rows, cell_width = width / p.columns;
    const int samples_y = samples_of(p, cell_height), samples_x = samples_of(p, cell_width);
    std::int64_t picture = load_index(p.pictures, at[3], p.wide);
    if (picture < 0) picture = 0;
    if (picture >= p.batch) picture = p.batch - 1;
    const T* plane = static_cast<const T*>(p.input) + at[1] +
                     static_cast<std::int32_t>(picture) * p.picture_stride;
    float sum = 0, largest = -INFINITY;
    for (int i = 0; i < samples_y; ++i) {
      const auto y =
          static_cast<float>(top + at[4] * cell_height + (i + 0.5) * cell_height / samples_y);
      for (int j = 0; j < samples_x; ++j) {
        const auto x =
            static_cast<float>(left + at[5] * cell_width + (j + 0.5) * cell_width / samples_x);
        take(p, plane, y, x, sum, largest);
      }
    }
    const int count = samples_y * samples_x;
    static_cast<T*>(p.output)[at[0]] =
        converted<T>(p.average ? sum / static_cast<float>(count > 1 ? count : 1) : largest);
  }
};

void launch_roi_align(const RoiAlignParams& params, bool overlapped, cudaStream_t stream);

template <typename F>
void with_body(const RoiAlignParams& p, F&& f) {
  if (p.dtype == DType::kFloat16) return f(RoiAlignBody<__half>{});
  f(RoiAlignBody<float>{});
}

}  // namespace peregrine::cuda
