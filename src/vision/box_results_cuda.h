// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "core/cuda/handles.h"
#include "vision/nms_cuda.h"
#include "vision/output_decoder.h"

namespace peregrine::vision {

/// What every box model shares: memory for a batch's candidates, their suppression, and the rows of
/// what is kept, on their way to the host in one copy.
class GpuBoxResults {
 public:
  /// `params` says how the model lays out boxes and what its task adds; the memory is filled in
  /// here. `entries` is the most candidates of a picture. Allocates on the current device.
  GpuBoxResults(const SuppressParams& params, int entries, const DecodeOptions& options,
                int max_batch);

  const SuppressParams& params() const { return params_; }
  const CandidateLists& lists() const { return params_.lists; }
  /// From now on the masks of rows are divided into strips; see `MaskParams`.
  void divide_masks(const MaskField& field, std::int32_t* strips_before) {
    params_.field = field;
    params_.strips_before = strips_before;
  }

  /// Candidates that are in the lists by then, with boxes in the output at `data`, to rows.
  void suppress(const float* data, std::span<const Letterbox> letterboxes, cudaStream_t stream);
  void copy_down(cudaStream_t stream);

  std::size_t pictures() const { return letterboxes_.size(); }  ///< of the batch enqueued last
  const Letterbox& letterbox(int item) const {
    return letterboxes_[static_cast<std::size_t>(item)];
  }
  /// Objects of a picture, without masks, and the anchor of each.
  void read(int item, Detections& out, std::vector<int>& anchors);

 private:
  const std::uint8_t* block_of(int item) const;
  void fetch_rest(int item, int count);
  void add(const std::uint8_t* bytes, Detections& out, std::vector<int>& anchors) const;

  SuppressParams params_;
  std::vector<Letterbox> letterboxes_;
  cuda::DeviceBuffer keys_, classes_, counts_, blocks_, rests_, kept_;
  cuda::PinnedBuffer host_blocks_, host_rest_;
  cuda::Stream stream_;  // for what is fetched when it is read
};

/// The classes that pass, on the device; empty where all do. Allocates, waits.
cuda::DeviceBuffer upload_filter(const std::vector<std::uint8_t>& allowed);

}  // namespace peregrine::vision
