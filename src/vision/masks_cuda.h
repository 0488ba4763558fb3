// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "core/cuda/handles.h"
#include "peregrine/detections.h"
#include "vision/decode_segment_cuda.h"
#include "vision/task_spec.h"

namespace peregrine::vision {

/// The masks of a batch on their way from the GPU: edges in an arena that its pictures share, of
/// which a first part comes down with the results, the rest in one copy when it is first needed.
/// What finds no room in the arena is rendered again when it is read, so that frames full of huge
/// and ragged masks cost time instead of memory.
class GpuMasks {
 public:
  GpuMasks() = default;
  /// Allocates for `most_rows` objects a picture. `shape` is that of the prototypes.
  GpuMasks(const TaskSpec& spec, const Shape& shape, int most_rows, int max_batch);

  bool wanted() const { return arena_.bytes() != 0; }
  const MaskField& field() const { return params_.field; }
  std::int32_t* strips_before() const { return strips_before_.as<std::int32_t>(); }
  unsigned long long* claimed() const { return params_.arena.claimed(); }

  /// The rest of the parameters, which the model decides.
  MaskParams& params() { return params_; }
  /// Renders the masks of the rows in the result block by then, and enqueues the first part's way
  /// down.
  void enqueue(std::span<const Letterbox> letterboxes, cudaStream_t stream);
  /// The masks of picture `item`, whose rows have these boxes and anchors. Throws `Error(kGpu)`.
  void read(int item, std::span<const Box> boxes, std::span<const int> anchors,
            const Letterbox& letterbox, std::vector<Mask>& masks);

 private:
  struct Strip {
    std::uint32_t object, strip;
    const std::uint32_t* edges;
    std::uint32_t count;
  };

  void index_strips();
  void render_again(int item, const Box& box, int anchor, int strips, const Letterbox& letterbox);
  Mask to_mask(bool in_order, const Letterbox& letterbox);

  MaskParams params_;
  std::size_t pictures_ = 0;                // of the batch that was enqueued last
  std::size_t fetched_ = 0;                 // words of its arena that have come down
  bool indexed_ = false;                    // whether `strips_` speaks of it
  std::vector<std::vector<Strip>> strips_;  // by picture, in any order
  std::vector<Strip> ordered_;              // of the picture that is read
  std::vector<int> first_strip_;            // by its objects
  std::vector<std::span<const std::uint32_t>> ordered_again_;
  std::vector<std::uint32_t> edges_;  // of the object that is read
  cuda::DeviceBuffer arena_, strips_before_, again_;
  cuda::PinnedBuffer host_arena_, host_again_;
  cuda::Stream stream_;
  int device_ = 0;
};

}  // namespace peregrine::vision
