// SPDX-License-Identifier: Apache-2.0
// Masks as `MaskDecoder` computes them, a strip a block of threads: the logits of the prototype
// cells that some rows of it touch, these between columns, the pixels between rows; and, when all
// rows are known, the edges. The same operations in the same order, so the same pixels.
#include "vision/decode_segment_cuda.h"

#include <algorithm>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::vision {
namespace {

constexpr unsigned kAll = 0xffffffffu;
constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kPassRows = 256, kDensePassRows = 64;  // computed together; where cells lie dense
constexpr int kMostRowSlots = 2 * kDensePassRows;
constexpr int kProducts = 2048;
constexpr int kAcrossStride = kStripColumns + 1;  // no two rows in one bank
constexpr int kColumnLanes = kThreads / kStripColumns;

/// Where the pixels of one side of a tile lie among the cells whose logits the tile holds: all from
/// the first to the last, or two a pixel where pixels skip cells.
template <int kPixels>
struct Side {
  MaskAxis::Place places[kPixels];
  int pixels, slots, first_cell, cell_count;
  bool skips;

  __device__ void read(const MaskAxis& axis, int first, int count, int thread) {
    if (thread >= kPixels) return;
    places[thread] = axis.at(min(axis.begin + first + thread, axis.end - 1));
    if (thread == 0) {
      pixels = min(axis.size() - first, count);
      cell_count = axis.cell_count;
    }
  }
  __device__ void lay_out() {
    first_cell = places[0].cell;
    const int span = next_of(places[pixels - 1].cell) + 1 - first_cell;
    skips = span > 2 * pixels;
    slots = skips ? 2 * pixels : span;
  }
  __device__ int next_of(int cell) const { return min(cell + 1, cell_count - 1); }
  __device__ int cell_of(int slot) const {
    if (!skips) return first_cell + slot;
    return slot % 2 == 0 ? places[slot / 2].cell : next_of(places[slot / 2].cell);
  }
  __device__ int slot(int pixel) const {
    return skips ? 2 * pixel : places[pixel].cell - first_cell;
  }
  __device__ int next_slot(int pixel) const {
    return skips ? 2 * pixel + 1 : next_of(places[pixel].cell) - first_cell;
  }
};

struct Shared {
  Side<kStripColumns> columns;
  Side<kPassRows> rows;
  float logits[kMostRowSlots * 2 * kStripColumns];
  union {
    float products[kProducts];                    // on the way to logits
    float across[kMostRowSlots * kAcrossStride];  // logits between columns
  };
  std::uint32_t bits[kStripColumns][kStripRows / 32];
  std::uint32_t sums[kWarps];
  std::uint64_t place;
};

/// The object that a strip belongs to.
struct Object {
  RawBoxes raw;             // of its picture
  const float* prototypes;  // of its picture
  int anchor;
  MaskAxis columns, rows;
  std::uint32_t picture, index;
  std::uint32_t source_height;
};

__device__ Object object_of(const MaskParams& p, int picture, int index, const Box& box,
                            int anchor) {
  const Letterbox& letterbox = p.letterboxes[picture - p.first_picture];
  Object object{p.raw,
                p.prototypes,
                anchor,
                mask_columns(p.field, box, letterbox),
                mask_rows(p.field, box, letterbox),
                static_cast<std::uint32_t>(picture),
                static_cast<std::uint32_t>(index),
                static_cast<std::uint32_t>(letterbox.source_height)};
  object.raw.data += picture * p.picture_stride;
  object.prototypes +=
      static_cast<std::ptrdiff_t>(picture) * p.coefficients * p.field.height * p.field.width;
  return object;
}

// The products of some cells by all threads, then their sums, each in the order of the prototypes.
__device__ void compute_logits(const MaskParams& p, const Object& object, Shared& s) {
  const int thread = static_cast<int>(threadIdx.x);
  const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(p.field.width) * p.field.height;
  const int columns = s.columns.slots, cells = columns * s.rows.slots;
  const int together = max(kProducts / p.coefficients, 1), terms = min(p.coefficients, kProducts);
  for (int first = 0; first < cells; first += together) {
    const int count = min(together, cells - first);
    for (int from = 0; from < p.coefficients; from += terms) {
      const int upto = min(terms, p.coefficients - from);
      for (int i = thread; i < count * upto; i += kThreads) {
        const int k = from + i / count, cell = first + i % count;
        const int at =
            s.rows.cell_of(cell / columns) * p.field.width + s.columns.cell_of(cell % columns);
        s.products[i] = object.raw.at(object.anchor, p.first_coefficient + k) *
                        object.prototypes[k * plane + at];
      }
      __syncthreads();
      for (int c = thread; c < count; c += kThreads) {
        float logit = from == 0 ? 0.0f : s.logits[first + c];
        for (int k = 0; k < upto; ++k) logit += s.products[k * count + c];
        s.logits[first + c] = logit;
      }
      __syncthreads();
    }
  }
}

// Rows [first, first + pass) of the strip to bits.
__device__ void compute_bits(const MaskParams& p, const Object& object, const MaskAxis& rows,
                             int first, int pass, Shared& s) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  __syncthreads();  // the rows before these have been used
  s.rows.read(rows, first, pass, thread);
  __syncthreads();
  if (thread == 0) s.rows.lay_out();
  __syncthreads();
  compute_logits(p, object, s);
  for (int i = thread; i < s.rows.slots * kStripColumns; i += kThreads) {
    const int x = i % kStripColumns;
    if (x >= s.columns.pixels) continue;
    const float* logits = s.logits + i / kStripColumns * s.columns.slots;
    s.across[i / kStripColumns * kAcrossStride + x] = between(
        logits[s.columns.slot(x)], logits[s.columns.next_slot(x)], s.columns.places[x].weight);
  }
  __syncthreads();
  // A warp takes 32 rows of some columns.
  const int words = pass / 32, word = warp % words, y = word * 32 + lane;
  if (word * 32 >= s.rows.pixels) return;
  const bool valid = y < s.rows.pixels;
  const int row = valid ? y : 0;
  const float* above = s.across + s.rows.slot(row) * kAcrossStride;
  const float* below = s.across + s.rows.next_slot(row) * kAcrossStride;
  const float weight = s.rows.places[row].weight;
  for (int x = warp / words; x < s.columns.pixels; x += kWarps / words) {
    const unsigned bits = __ballot_sync(kAll, valid && in_mask(above[x], below[x], weight));
    if (lane == 0) s.bits[x][first / 32 + word] = bits;
  }
}

// Bit y of the answer: pixel 32 * `word` + y of the column differs from the one above it. Above the
// strip and below its last row nothing is set.
__device__ std::uint32_t edges_of(const Shared& s, int column, int word, int words) {
  const std::uint32_t here = word < words ? s.bits[column][word] : 0;
  const std::uint32_t before = word > 0 ? s.bits[column][word - 1] >> 31 : 0;
  return here ^ (here << 1 | before);
}

// A strip's bits to edges in the arena. The threads stand in the order of the pixels.
__device__ void write_edges(const MaskParams& p, const Object& object, const MaskAxis& columns,
                            const MaskAxis& rows, int strip, Shared& s) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int column = thread / kColumnLanes;
  const int words = (rows.size() + 31) / 32, all = rows.size() / 32 + 1;
  const int each = (all + kColumnLanes - 1) / kColumnLanes;
  const int begin = thread % kColumnLanes * each;
  const int end = column < s.columns.pixels ? min(begin + each, all) : begin;
  __syncthreads();
  std::uint32_t count = 0;
  for (int w = begin; w < end; ++w) count += __popc(edges_of(s, column, w, words));
  std::uint32_t upto = count;
  for (int distance = 1; distance < 32; distance *= 2) {
    const std::uint32_t other = __shfl_up_sync(kAll, upto, distance);
    if (lane >= distance) upto += other;
  }
  if (lane == 31) s.sums[warp] = upto;
  __syncthreads();
  std::uint32_t before = upto - count, total = 0;
  for (int w = 0; w < kWarps; ++w) {
    if (w < warp) before += s.sums[w];
    total += s.sums[w];
  }
  if (thread == 0) {
    s.place = kArenaHeaderWords +
              atomicAdd(p.arena.claimed(), static_cast<unsigned long long>(kStripWords + total));
    const bool fits = s.place + kStripWords + total <= p.arena.capacity;
    if (s.place + kStripWords <= p.arena.capacity) {
      std::uint32_t* header = p.arena.words + s.place;
      header[0] = object.picture;
      header[1] = fits ? object.index : kArenaEnd;
      header[2] = static_cast<std::uint32_t>(strip);
      header[3] = total;
    }
  }
  __syncthreads();
  if (s.place + kStripWords + total > p.arena.capacity) return;
  std::uint32_t* out = p.arena.words + s.place + kStripWords + before;
  const std::uint32_t top =
      static_cast<std::uint32_t>(columns.begin + column) * object.source_height +
      static_cast<std::uint32_t>(rows.begin);
  for (int w = begin; w < end; ++w) {
    for (std::uint32_t edges = edges_of(s, column, w, words); edges != 0; edges &= edges - 1) {
      *out++ = top + static_cast<std::uint32_t>(32 * w + __ffs(static_cast<int>(edges)) - 1);
    }
  }
}

// Strip `strip` of an object. The whole block calls it.
__device__ void render(const MaskParams& p, const Object& object, int strip, Shared& s) {
  MaskAxis columns = object.columns, rows = object.rows;
  columns.begin += strip % strips_across(object.columns) * kStripColumns;
  columns.end = min(columns.begin + kStripColumns, columns.end);
  rows.begin += strip / strips_across(object.columns) * kStripRows;
  rows.end = min(rows.begin + kStripRows, rows.end);
  __syncthreads();  // the strip before this one has been written
  s.columns.read(columns, 0, kStripColumns, static_cast<int>(threadIdx.x));
  __syncthreads();
  if (threadIdx.x == 0) s.columns.lay_out();
  // So many cells at most; see kMostRowSlots.
  const bool dense = rows.scale * rows.cells_per_input * kPassRows + 3 > kMostRowSlots;
  const int pass = dense ? kDensePassRows : kPassRows;
  for (int first = 0; first < rows.size(); first += pass) {
    compute_bits(p, object, rows, first, pass, s);
  }
  write_edges(p, object, columns, rows, strip, s);
}

// The last object whose first strip is not behind `strip`. Objects without a strip begin where the
// next one does.
__device__ int object_at(const std::int32_t* strips_before, int count, int strip) {
  int low = 0, high = count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (strips_before[middle] <= strip ? low : high) = middle;
  }
  return low;
}

__global__ void __launch_bounds__(kThreads) mask_kernel(const __grid_constant__ MaskParams p) {
  __shared__ Shared s;
  cuda::let_next_kernel_start();
  cuda::wait_for_previous_kernel();
  const int picture = p.first_picture + static_cast<int>(blockIdx.y);
  const std::uint8_t* block = p.blocks + picture * p.layout.block_bytes();
  const std::uint8_t* rest = p.rests + picture * p.layout.rest_bytes();
  const int count = reinterpret_cast<const BlockHeader*>(block)->count;
  const std::int32_t* before =
      p.strips_before + static_cast<std::ptrdiff_t>(picture) * (p.layout.most_rows + 1);
  const int strips = before[count];
  for (int strip = static_cast<int>(blockIdx.x); strip < strips;
       strip += static_cast<int>(gridDim.x)) {
    const int index = object_at(before, count, strip);
    const auto& row = *reinterpret_cast<const BoxRow*>(p.layout.row(block, rest, index));
    render(p, object_of(p, picture, index, row.box, row.anchor), strip - before[index], s);
  }
}

struct StripsParams {
  MaskParams masks;
  MaskStrips strips;
};

__global__ void __launch_bounds__(kThreads) strips_kernel(const __grid_constant__ StripsParams p) {
  __shared__ Shared s;
  render(p.masks, object_of(p.masks, p.masks.first_picture, 0, p.strips.box, p.strips.anchor),
         p.strips.first + static_cast<int>(blockIdx.x), s);
}

}  // namespace

void launch_masks(const MaskParams& params, int pictures, cudaStream_t stream) {
  // Enough blocks for the largest GPU; what they do is known on the device only.
  constexpr int kBlocks = 1024, kLeast = 32;
  cuda::LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(std::max(kBlocks / pictures, kLeast)),
                    static_cast<unsigned>(pictures));
  shape.block = dim3(kThreads);
  cuda::launch(reinterpret_cast<const void*>(&mask_kernel), shape, params, stream);
}

void launch_mask_strips(const MaskParams& params, const MaskStrips& strips, cudaStream_t stream) {
  cuda::LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(strips.count));
  shape.block = dim3(kThreads);
  shape.overlapped = false;
  cuda::launch(reinterpret_cast<const void*>(&strips_kernel), shape, StripsParams{params, strips},
               stream);
}

}  // namespace peregrine::vision
