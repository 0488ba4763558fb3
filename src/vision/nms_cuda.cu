// SPDX-License-Identifier: Apache-2.0
// One block a picture sorts its candidates, keeps greedily and writes the rows of its result.
//
// Candidates are taken in rounds: the best 2,048 that are left are selected, sorted in shared
// memory and run through until enough are kept, so that any number of candidates takes the same
// memory and the usual few take one round.
#include "vision/nms_cuda.h"

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"
#include "vision/box_tasks.h"
#include "vision/nms.h"
#include "vision/overlap.h"
#include "vision/select_cuda.cuh"

namespace peregrine::vision {
namespace {

constexpr int kChunk = 64;                 // candidates that are decided together
constexpr int kLanes = kThreads / kChunk;  // threads a candidate
constexpr int kSharedKept = 512;

struct Upright {
  struct alignas(16) Geometry {
    Box box;
  };
  static constexpr int kRound = 2048;

  static __device__ Geometry read(const SuppressParams& p, const RawBoxes& raw, int anchor) {
    return {read_box(raw, anchor, p.format, p.input_width, p.input_height)};
  }
  static __device__ bool overlap(const SuppressParams& p, const Geometry& kept,
                                 const Geometry& other) {
    const Box& a = kept.box;
    const Box& b = other.box;
    // Most meet nothing: the division would answer 0, or no number.
    const bool meets =
        std::min(a.x2, b.x2) > std::max(a.x1, b.x1) && std::min(a.y2, b.y2) > std::max(a.y1, b.y1);
    if (!meets && p.iou >= 0) return false;
    const float common = common_area(a, b);
    return common / (a.area() + b.area() - common) > p.iou;
  }
};

struct Rotated {
  using Geometry = Gaussian;
  static constexpr int kRound = 1024;

  static __device__ Geometry read(const SuppressParams& p, const RawBoxes& raw, int anchor) {
    return gaussian_of(read_oriented(raw, anchor, p.extra_channel));
  }
  static __device__ bool overlap(const SuppressParams& p, const Geometry& kept,
                                 const Geometry& other) {
    return !beyond(kept, other, p.distance) && gaussian_overlap(kept, other) > p.iou;
  }
};

template <typename Shape>
struct Shared {
  std::uint64_t keys[Shape::kRound];
  union {
    typename Shape::Geometry geometry[Shape::kRound];
    std::uint32_t bins[kBins];  // of the selection, before geometry is read
  };
  typename Shape::Geometry kept_geometry[kSharedKept];
  std::uint64_t kept_keys[kSharedKept];
  std::uint64_t sums[kWarps + 1];
  std::uint64_t lowest[kWarps], highest[kWarps];
  std::uint64_t betters[kChunk];  // by candidate: those before it in the chunk that it overlaps
  std::int32_t kept_classes[kSharedKept];
  std::int32_t classes[Shape::kRound];
  std::int32_t dropped[kChunk];
  std::int32_t kept_count, filled, crossing, taken;
};

template <typename Shape>
struct Kept {
  typename Shape::Geometry* geometry;
  std::uint64_t* keys;
  std::int32_t* classes;
};

// Global scratch of a picture; a whole number of 16 bytes, as geometry is aligned.
template <typename Shape>
__host__ __device__ std::size_t scratch_bytes(int limit) {
  constexpr std::size_t kEach =
      sizeof(typename Shape::Geometry) + sizeof(std::uint64_t) + sizeof(std::int32_t);
  return (static_cast<std::size_t>(limit) * kEach + 15) / 16 * 16;
}

template <typename Shape>
__device__ Kept<Shape> kept_of(const SuppressParams& p, Shared<Shape>& s, int picture) {
  if (p.limit <= kSharedKept) return {s.kept_geometry, s.kept_keys, s.kept_classes};
  auto* geometry =
      reinterpret_cast<typename Shape::Geometry*>(p.kept + picture * scratch_bytes<Shape>(p.limit));
  const int limit = p.limit;
  auto* keys = reinterpret_cast<std::uint64_t*>(geometry + limit);
  return {geometry, keys, reinterpret_cast<std::int32_t*>(keys + limit)};
}

__device__ int entry_of(std::uint64_t key) { return static_cast<int>(key & 0xffffffffu); }
__device__ float score_of(std::uint64_t key) {
  return score_of_key(static_cast<std::uint32_t>(key >> 32));
}

// The candidates `betters` and `dropped` speak of, decided by the first warp, two a lane: one is
// kept when all better ones that it overlaps are dropped, and dropped when one of them is kept.
template <typename Shape>
__device__ std::uint64_t decide(const Shared<Shape>& s) {
  const int lane = thread();
  const std::uint64_t first = s.betters[lane], second = s.betters[lane + 32];
  const auto ballot = [](bool low, bool high) {
    return __ballot_sync(kAll, low) | static_cast<std::uint64_t>(__ballot_sync(kAll, high)) << 32;
  };
  std::uint64_t dropped = ballot(s.dropped[lane] != 0, s.dropped[lane + 32] != 0);
  std::uint64_t kept = 0, open = ~dropped;
  while (open != 0) {
    kept |= open & ballot((first & ~dropped) == 0, (second & ~dropped) == 0);
    dropped |= open & ballot((first & kept) != 0, (second & kept) != 0);
    open = ~(kept | dropped);
  }
  return kept;
}

template <typename Shape>
__device__ void keep_greedily(const SuppressParams& p, Shared<Shape>& s, const Kept<Shape>& kept,
                              int count) {
  const bool suppresses = p.iou < INFINITY;
  const int candidate = thread() / kLanes, part = thread() % kLanes;
  for (int first = 0; first < count && s.kept_count < p.limit; first += kChunk) {
    const int index = first + candidate;
    const int kept_count = s.kept_count;
    bool dropped = index >= count;
    bool meets[kChunk / kLanes] = {};
    if (suppresses && !dropped) {
      const typename Shape::Geometry mine = s.geometry[index];
      const int class_id = s.classes[index];
      // Four at a time: the classes, mostly others, are on their way together.
      for (int k = part; k < kept_count && !dropped; k += 4 * kLanes) {
        int classes[4];
        for (int i = 0; i < 4; ++i) {
          const int at = k + i * kLanes;
          classes[i] = at < kept_count ? kept.classes[at] : -1;
        }
        for (int i = 0; i < 4; ++i) {
          if (classes[i] != class_id) continue;
          if (Shape::overlap(p, kept.geometry[k + i * kLanes], mine)) dropped = true;
        }
      }
      for (int i = 0; i < kChunk / kLanes; ++i) {
        const int c = part + i * kLanes;
        meets[i] = c < candidate && s.classes[first + c] == class_id &&
                   Shape::overlap(p, s.geometry[first + c], mine);
      }
    }
    // Two candidates a warp, each with half of a ballot.
    const int half = thread() % 32 & kLanes;
    const auto of_half = [&](bool value) {
      return __ballot_sync(kAll, value) >> half & ((1u << kLanes) - 1);
    };
    std::uint64_t betters = 0;
    for (int i = 0; i < kChunk / kLanes; ++i) {
      betters |= static_cast<std::uint64_t>(of_half(meets[i])) << (i * kLanes);
    }
    dropped = of_half(dropped) != 0;
    if (part == 0) s.betters[candidate] = betters, s.dropped[candidate] = dropped;
    __syncthreads();
    if (thread() < 32) {
      const std::uint64_t keeps = decide(s);
      for (int c = thread(); c < kChunk; c += 32) {
        const int place = kept_count + __popcll(keeps & below(c));
        if ((keeps >> c & 1) == 0 || place >= p.limit) continue;
        kept.geometry[place] = s.geometry[first + c];
        kept.classes[place] = s.classes[first + c];
        kept.keys[place] = s.keys[first + c];
      }
      __syncwarp();
      if (thread() == 0) s.kept_count = min(kept_count + __popcll(keeps), p.limit);
    }
    __syncthreads();
  }
}

__device__ std::uint8_t* row_at(const SuppressParams& p, int picture, int index) {
  return p.layout.row(p.blocks + picture * p.layout.block_bytes(),
                      p.rests + picture * p.layout.rest_bytes(), index);
}

__device__ Box source_box(const SuppressParams&, const RawBoxes&, const Letterbox& letterbox,
                          const Upright::Geometry& kept, int, OrientedBox&) {
  return letterbox.to_source(kept.box);
}
__device__ Box source_box(const SuppressParams& p, const RawBoxes& raw, const Letterbox& letterbox,
                          const Rotated::Geometry&, int anchor, OrientedBox& oriented) {
  oriented = to_source(read_oriented(raw, anchor, p.extra_channel), letterbox);
  return enclosing_box(oriented, letterbox);
}

// What lies in the padding has no box in the source and gets no row. The number of rows.
template <typename Shape>
__device__ int write_rows(const SuppressParams& p, Shared<Shape>& s, const Kept<Shape>& kept,
                          const RawBoxes& raw, const Letterbox& letterbox, int picture) {
  int rows = 0;
  for (int first = 0; first < s.kept_count; first += kThreads) {
    const int index = first + thread();
    BoxRow row;
    OrientedBox oriented;
    bool visible = false;
    if (index < s.kept_count) {
      row.anchor = entry_of(kept.keys[index]) / p.entries_an_anchor;
      row.score = score_of(kept.keys[index]);
      row.class_id = kept.classes[index];
      row.box = source_box(p, raw, letterbox, kept.geometry[index], row.anchor, oriented);
      visible = row.box.area() > 0;
    }
    std::uint64_t total;
    const int place = rows + static_cast<int>(sum_before(visible ? 1 : 0, s.sums, total));
    if (visible) {
      std::uint8_t* out = row_at(p, picture, place);
      *reinterpret_cast<BoxRow*>(out) = row;
      if (p.oriented) *reinterpret_cast<OrientedBox*>(out + sizeof(BoxRow)) = oriented;
    }
    rows += static_cast<int>(total);
  }
  return rows;
}

// Several points a thread at once: what each waits for is on its way together.
__device__ void write_keypoints(const SuppressParams& p, const RawBoxes& raw,
                                const Letterbox& letterbox, int picture, int rows) {
  constexpr int kTogether = 4;
  const int points = rows * p.keypoint_count;
  for (int first = thread(); first < points; first += kTogether * kThreads) {
    Keypoint found[kTogether];
    for (int i = 0; i < kTogether; ++i) {
      const int point = min(first + i * kThreads, points - 1), k = point % p.keypoint_count;
      const auto& row =
          *reinterpret_cast<const BoxRow*>(row_at(p, picture, point / p.keypoint_count));
      found[i] = read_keypoint(raw, row.anchor, p.extra_channel + k * p.keypoint_values,
                               p.keypoint_values, letterbox);
    }
    for (int i = 0; i < kTogether; ++i) {
      const int point = first + i * kThreads;
      if (point >= points) break;
      std::uint8_t* row = row_at(p, picture, point / p.keypoint_count);
      reinterpret_cast<Keypoint*>(row + sizeof(BoxRow))[point % p.keypoint_count] = found[i];
    }
  }
}

// How the masks of the rows are divided among blocks of threads.
__device__ void count_strips(const SuppressParams& p, std::uint64_t* sums,
                             const Letterbox& letterbox, int picture, int rows) {
  std::int32_t* strips_before =
      p.strips_before + static_cast<std::ptrdiff_t>(picture) * (p.layout.most_rows + 1);
  std::uint64_t before = 0;
  for (int first = 0; first < rows; first += kThreads) {
    const int index = first + thread();
    std::uint64_t strips = 0;
    if (index < rows) {
      const Box& box = reinterpret_cast<const BoxRow*>(row_at(p, picture, index))->box;
      strips = static_cast<std::uint64_t>(
          mask_strips(mask_columns(p.field, box, letterbox), mask_rows(p.field, box, letterbox)));
    }
    std::uint64_t total;
    const std::uint64_t sum = before + sum_before(strips, sums, total);
    if (index < rows) strips_before[index] = static_cast<std::int32_t>(sum);
    before += total;
  }
  if (thread() == 0) strips_before[rows] = static_cast<std::int32_t>(before);
}

template <typename Shape>
__global__ void __launch_bounds__(kThreads)
    suppress_kernel(const __grid_constant__ SuppressParams p) {
  extern __shared__ __align__(16) unsigned char memory[];
  auto& s = *reinterpret_cast<Shared<Shape>*>(memory);
  cuda::let_next_kernel_start();
  if (thread() == 0) s.kept_count = 0;
  cuda::wait_for_previous_kernel();
  const int picture = p.first_picture + static_cast<int>(blockIdx.x);
  const Letterbox letterbox = p.letterboxes[blockIdx.x];
  const std::size_t first_entry = static_cast<std::size_t>(picture) * p.lists.entries;
  const std::uint64_t* keys = p.lists.keys + first_entry;
  const int candidates = min(static_cast<int>(p.lists.counts[picture]), p.lists.entries);
  RawBoxes raw = p.raw;
  raw.data += picture * p.picture_stride;
  const Kept<Shape> kept = kept_of(p, s, picture);
  __syncthreads();
  int left = min(candidates, static_cast<int>(kMaxCandidates));
  for (std::uint64_t last = 0; left > 0 && s.kept_count < p.limit;) {
    const int count = take_round(s, keys, candidates, last, min(left, Shape::kRound));
    sort_round(s, count);
    last = s.keys[count - 1];
    for (int i = thread(); i < count; i += kThreads) {
      const int entry = entry_of(s.keys[i]);
      s.geometry[i] = Shape::read(p, raw, entry / p.entries_an_anchor);
      s.classes[i] = p.lists.classes[first_entry + entry];
    }
    __syncthreads();
    keep_greedily(p, s, kept, count);
    left -= count;
  }
  if (thread() == 0) p.lists.counts[picture] = 0;
  BlockHeader header;
  header.count = write_rows(p, s, kept, raw, letterbox, picture);
  __syncthreads();
  write_keypoints(p, raw, letterbox, picture, header.count);
  if (p.strips_before != nullptr) {
    count_strips(p, s.sums, letterbox, picture, header.count);
  }
  if (thread() == 0) {
    *reinterpret_cast<BlockHeader*>(p.blocks + picture * p.layout.block_bytes()) = header;
  }
}

template <typename Shape>
void allow_shared() {
  CUDA_CHECK(cudaFuncSetAttribute(reinterpret_cast<const void*>(&suppress_kernel<Shape>),
                                  cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(sizeof(Shared<Shape>))));
}

}  // namespace

std::size_t kept_bytes(bool oriented, int limit) {
  if (limit <= kSharedKept) return 0;
  return oriented ? scratch_bytes<Rotated>(limit) : scratch_bytes<Upright>(limit);
}

void prepare_suppress() {
  allow_shared<Upright>();
  allow_shared<Rotated>();
}

void launch_suppress(const SuppressParams& params, int pictures, cudaStream_t stream) {
  cuda::LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(pictures));
  shape.block = dim3(kThreads);
  shape.shared_bytes =
      static_cast<int>(params.oriented ? sizeof(Shared<Rotated>) : sizeof(Shared<Upright>));
  const void* kernel = params.oriented ? reinterpret_cast<const void*>(&suppress_kernel<Rotated>)
                                       : reinterpret_cast<const void*>(&suppress_kernel<Upright>);
  cuda::launch(kernel, shape, params, stream);
}

}  // namespace peregrine::vision
