// SPDX-License-Identifier: Apache-2.0
// What the preprocessing kernel is told: plain data, passed by value with the launch, so that
// nothing has to cross the bus before it.
#pragma once

#include <cstdint>
#include <span>

#include <cuda_runtime_api.h>

#include "peregrine/frame.h"

namespace peregrine::vision {

/// How output pixels of one axis map to source pixels. Output pixel `p` of the resized picture
/// (`p + offset` of the output) lies at `p * step + start` in the region, in 1/2^32 of a pixel:
/// exact to a millionth of a pixel in an 8K picture, where a float is not to a thousandth.
struct AxisMap {
  std::int64_t step = 0, start = 0;
  int begin = 0;                ///< first source pixel of the region
  int last = 0;                 ///< last pixel of the region, counted from `begin`
  int offset = 0, resized = 0;  ///< where the resized picture lies in the output, and its size
};

/// `ColorGains` (color.h) for chroma in 1/16 of a code value, offsets folded into one constant a
/// channel.
struct ColorMap {
  float luma = 1;
  float red_v = 0, green_u = 0, green_v = 0, blue_u = 0;
  float constant[3] = {};  ///< R G B
};

/// One picture, or one crop of it.
struct PictureJob {
  const std::uint8_t* planes[3] = {};
  std::int64_t strides[3] = {};  ///< bytes
  PixelFormat format = PixelFormat::kNv12;
  int chroma_right = 0, chroma_bottom = 0;  ///< the last column and row of halved chroma
  ColorMap color;
  AxisMap x, y;
};

/// Where the pictures of a batch go: float32 or float16 [pictures, 3, height, width].
struct PreprocessTarget {
  void* data = nullptr;
  std::int64_t picture_stride = 0, channel_stride = 0, row_stride = 0;  ///< elements
  int column_stride = 0;
  int width = 0, height = 0;
  bool half = false;
  float scale[3] = {}, bias[3] = {};  ///< R G B: output = level (0 to 255) * scale + bias
  float padding[3] = {};              ///< R G B outside the resized picture
};

/// The most jobs of one launch: they and the target are its parameters, of which there are 32,764
/// bytes at most; a batch of 64 is as much work as fills any GPU many times over.
constexpr int kJobsPerLaunch = 64;
/// Up to this many jobs travel in a smaller block of parameters.
constexpr int kFewJobs = 8;

template <int kCapacity>
struct PreprocessBatch {
  PreprocessTarget target;
  PictureJob jobs[kCapacity];
};
static_assert(sizeof(PreprocessBatch<kFewJobs>) <= 4096);
static_assert(sizeof(PreprocessBatch<kJobsPerLaunch>) <= 32764);

// A warp makes 32 * kPixels neighbouring pixels of one row, each lane every 32nd of them: reads and
// planar writes of a warp lie side by side whatever the row's length and alignment.
constexpr int kLanes = 32;
constexpr int kPixels = 4;
constexpr int kRows = 8;  ///< warps of a block, each with a row of its own

/// One kernel for 1 to `kJobsPerLaunch` jobs, picture i of `target` from job i. Throws
/// `Error(kGpu)`.
void launch_preprocess(const PreprocessTarget& target, std::span<const PictureJob> jobs,
                       cudaStream_t stream);

}  // namespace peregrine::vision
