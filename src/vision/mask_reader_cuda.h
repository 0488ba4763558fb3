// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "core/cuda/handles.h"
#include "peregrine/detections.h"
#include "vision/decode_segment_cuda.h"
#include "vision/task_spec.h"

namespace peregrine::vision {

/// The masks of a batch on their way from the GPU: rendered into an arena that its pictures share,
/// of which a first part comes down with the results, the rest in one copy when it is first needed.
/// What finds no room in the arena is rendered strip by strip when it is read, so that a frame full
/// of huge masks costs time instead of memory.
class GpuMasks {
 public:
  GpuMasks() = default;
  /// Allocates for `most_rows` objects a picture. `shape` is that of the prototypes.
  GpuMasks(const TaskSpec& spec, const Shape& shape, int most_rows, int max_batch);

  bool wanted() const { return places_.bytes() != 0; }
  MaskSpace space();
  /// Renders what has its place by now, and enqueues the first part's way down. `params` is
  /// complete but for the space and the letterboxes.
  void enqueue(const MaskParams& params, std::span<const Letterbox> letterboxes,
               cudaStream_t stream);
  /// The masks of picture `item`, whose rows have these boxes and anchors. `end` is the last
  /// `mask_end` of the batch. Throws `Error(kGpu)`.
  void read(int item, const BlockHeader& header, std::uint64_t end, std::span<const Box> boxes,
            std::span<const int> anchors, const Letterbox& letterbox, std::vector<Mask>& masks);

 private:
  void fetch(std::uint64_t end);
  Mask render_in_strips(int item, const Box& box, int anchor, const Letterbox& letterbox);

  int device_ = 0;
  MaskField field_;
  MaskParams params_;          // of the batch that was enqueued last
  std::uint64_t fetched_ = 0;  // words of it that have come down
  cuda::DeviceBuffer arena_, used_, places_, strip_;
  cuda::PinnedBuffer host_arena_, host_strip_;
  cuda::Stream stream_;
};

}  // namespace peregrine::vision
