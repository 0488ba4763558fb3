// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

#include "vision/box_tasks.h"
#include "vision/candidates_cuda.h"
#include "vision/decode_segment_cuda.h"
#include "vision/result_block.h"

namespace peregrine::vision {

/// Candidates of some pictures of a batch to rows of the result block: `Suppressor` and what
/// `BoxDecoder` makes of what it keeps. Pointers are those of the batch's first picture.
struct SuppressParams {
  int first_picture = 0;  ///< of this launch
  RawBoxes raw;
  std::ptrdiff_t picture_stride = 0;
  CandidateLists lists;       ///< counts are put back to zero
  int entries_an_anchor = 1;  ///< classes, where each of a query may be an object
  BoxFormat format = BoxFormat::kCentred;
  float input_width = 0, input_height = 0;  ///< that normalised boxes are shares of
  bool oriented = false;
  float iou = 0;        ///< infinity suppresses nothing
  double distance = 0;  ///< of oriented boxes that surely do not overlap: distance_beyond(iou)
  int limit = 0;
  int extra_channel = 0;  ///< of keypoints or angle
  int keypoint_count = 0, keypoint_values = 0;
  BlockLayout layout;
  std::uint8_t* blocks = nullptr;
  std::uint8_t* rests = nullptr;
  std::uint8_t* kept = nullptr;           ///< scratch of `kept_bytes` a picture
  MaskField field;                        ///< of masks
  std::int32_t* strips_before = nullptr;  ///< see MaskParams; null: there are no masks
  Letterbox letterboxes[kPicturesALaunch];
};

/// Scratch for what one picture keeps; 0 where shared memory holds it.
std::size_t kept_bytes(bool oriented, int limit);

/// Once a process and device, before the first launch. Throws `Error(kGpu)`.
void prepare_suppress();
/// Throws `Error(kGpu)`.
void launch_suppress(const SuppressParams& params, int pictures, cudaStream_t stream);

}  // namespace peregrine::vision
