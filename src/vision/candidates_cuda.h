// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

#include "vision/candidates.h"

namespace peregrine::vision {

/// The candidates of a batch in device memory, in any order: sorting the keys puts them in the
/// order of `Suppressor`. An entry is what may become one: an anchor, or a class of a DETR query.
struct CandidateLists {
  int entries = 0;                  ///< of a picture: its places in what follows
  std::uint64_t* keys = nullptr;    ///< falling_key(score) << 32 | entry
  std::int32_t* classes = nullptr;  ///< by entry; of candidates only
  /// By picture. Starts at zero and is put back to zero by whoever has read it.
  std::uint32_t* counts = nullptr;
};

/// Which anchors of a batch pass: `collect_yolov8` and its sisters of candidates.h.
struct ScanParams {
  RawBoxes raw;  ///< of picture 0
  std::ptrdiff_t picture_stride = 0;
  int class_count = 0;
  float confidence = 0;
  const std::uint8_t* allowed = nullptr;  ///< by class; null allows all
  CandidateLists lists;
  unsigned long long* claimed = nullptr;  ///< words of the mask arena: set to zero; may be null
};

/// Throws `Error(kGpu)`.
void launch_scan(Head head, const ScanParams& params, int pictures, cudaStream_t stream);

}  // namespace peregrine::vision
