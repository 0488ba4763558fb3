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
  static __device__ bool overlap(const Geometry& kept, const Geometry& other, float iou) {
    const float common = common_area(kept.box, other.box);
    // Most meet nothing; the division would answer 0, or no number.
    if (!(common > 0) && iou >= 0) return false;
    return common / (kept.box.area() + other.box.area() - common) > iou;
  }
};

struct Rotated {
  using Geometry = Gaussian;
  static constexpr int kRound = 1024;

  static __device__ Geometry read(const SuppressParams& p, const RawBoxes& raw, int anchor) {
    return gaussian_of(read_oriented(raw, anchor, p.extra_channel));
  }
  static __device__ bool overlap(const Geometry& kept, const Geometry& other, float iou) {
    return gaussian_overlap(kept, other) > iou;
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
    std::uint64_t betters = 0;
    if (suppresses && !dropped) {
      const typename Shape::Geometry mine = s.geometry[index];
      const int class_id = s.classes[index];
      for (int k = part; k < kept_count && !dropped; k += kLanes) {
        dropped = kept.classes[k] == class_id && Shape::overlap(kept.geometry[k], mine, p.iou);
      }
      for (int c = part; c < candidate; c += kLanes) {
        if (s.classes[first + c] == class_id &&
            Shape::overlap(s.geometry[first + c], mine, p.iou)) {
          betters |= std::uint64_t{1} << c;
        }
      }
    }
    for (int distance = kLanes / 2; distance > 0; distance /= 2) {
      betters |= __shfl_xor_sync(kAll, betters, distance);
      dropped |= __shfl_xor_sync(kAll, static_cast<int>(dropped), distance) != 0;
    }
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

__device__ void write_keypoints(const SuppressParams& p, const RawBoxes& raw,
                                const Letterbox& letterbox, int picture, int rows) {
  for (int i = thread(); i < rows * p.keypoint_count; i += kThreads) {
    std::uint8_t* row = row_at(p, picture, i / p.keypoint_count);
    const int k = i % p.keypoint_count;
    reinterpret_cast<Keypoint*>(row + sizeof(BoxRow))[k] =
        read_keypoint(raw, reinterpret_cast<const BoxRow*>(row)->anchor,
                      p.extra_channel + k * p.keypoint_values, p.keypoint_values, letterbox);
  }
}

// Gives each mask its place in the arena, in the order of the rows, as long as there is room.
__device__ void place_masks(const SuppressParams& p, std::uint64_t* sums,
                            const Letterbox& letterbox, int picture, BlockHeader& header) {
  MaskPlace* places = p.masks.places + picture * static_cast<std::size_t>(p.layout.most_rows + 1);
  MaskPlace before;
  for (int first = 0; first < header.count; first += kThreads) {
    const int index = first + thread();
    std::uint64_t words = 0, tiles = 0;
    if (index < header.count) {
      const Box& box = reinterpret_cast<const BoxRow*>(row_at(p, picture, index))->box;
      const MaskAxis columns = mask_columns(p.masks.field, box, letterbox);
      const MaskAxis rows = mask_rows(p.masks.field, box, letterbox);
      words = mask_words(columns, rows);
      tiles = static_cast<std::uint64_t>(mask_tiles(columns, rows));
    }
    std::uint64_t all_words, all_tiles;
    const std::uint64_t word = sum_before(words, sums, all_words);
    const std::uint64_t tile = sum_before(tiles, sums, all_tiles);
    if (index < header.count) {
      places[index] = {before.word + word, before.tile + static_cast<std::int64_t>(tile)};
    }
    before.word += all_words, before.tile += static_cast<std::int64_t>(all_tiles);
  }
  if (thread() == 0) places[header.count] = before;
  __syncthreads();
  if (thread() != 0) return;
  header.mask_offset = atomicAdd(p.masks.used, static_cast<unsigned long long>(before.word));
  header.rendered = header.count;
  while (header.rendered > 0 &&
         header.mask_offset + places[header.rendered].word > p.masks.capacity) {
    --header.rendered;
  }
  // What has no mask in the arena may have been given a place behind its end.
  if (header.rendered > 0) {
    header.mask_end = header.mask_offset + places[header.rendered].word;
  }
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
  if (p.masks.places != nullptr) place_masks(p, s.sums, letterbox, picture, header);
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
