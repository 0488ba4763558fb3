// SPDX-License-Identifier: Apache-2.0
// Masks as `MaskDecoder` computes them: a block of threads takes a tile of 32 x 64 source pixels,
// computes the logits of the prototype cells that it touches and looks each pixel up between them.
// The same additions in the same order, so the same bits.
#include "vision/decode_segment_cuda.h"

#include <algorithm>

#include "engine/cuda/kernels/instructions.cuh"
#include "engine/cuda/kernels/launch.h"

namespace peregrine::vision {
namespace {

constexpr unsigned kAll = 0xffffffffu;
constexpr int kThreads = 256, kWarps = kThreads / 32;

/// Where the pixels of one side of a tile lie among the cells whose logits the tile holds: all from
/// the first to the last, or two a pixel where pixels skip cells.
template <int kPixels>
struct Side {
  MaskAxis::Place places[kPixels];
  int pixels, slots, first_cell, cell_count;
  bool skips;

  __device__ void read(const MaskAxis& axis, int first, int thread) {
    if (thread < 0 || thread >= kPixels) return;
    places[thread] = axis.at(min(axis.begin + first + thread, axis.end - 1));
    if (thread == 0) {
      pixels = min(axis.size() - first, kPixels);
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

struct Tile {
  Side<kTileColumns> columns;
  Side<kTileRows> rows;
  float logits[4 * kTileColumns * kTileRows];
};

struct Source {
  RawBoxes raw;             // of the picture
  const float* prototypes;  // of the picture
  int anchor;
};

__device__ Source source_of(const MaskParams& p, int picture, int anchor) {
  Source source{p.raw, p.prototypes, anchor};
  source.raw.data += picture * p.picture_stride;
  source.prototypes += static_cast<std::ptrdiff_t>(picture) * p.coefficients *
                       p.space.field.height * p.space.field.width;
  return source;
}

__device__ void compute_logits(const MaskParams& p, const Source& source, Tile& tile) {
  const int width = p.space.field.width;
  const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(width) * p.space.field.height;
  const int columns = tile.columns.slots, count = columns * tile.rows.slots;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {
    const float* from = source.prototypes + tile.rows.cell_of(i / columns) * width +
                        tile.columns.cell_of(i % columns);
    float logit = 0;
#pragma unroll 8
    for (int k = 0; k < p.coefficients; ++k) {
      logit += source.raw.at(source.anchor, p.first_coefficient + k) * from[k * plane];
    }
    tile.logits[i] = logit;
  }
}

// Tile `index` of a mask whose first word is at `out`. The whole block calls it.
__device__ void render(const MaskParams& p, const Source& source, const MaskAxis& columns,
                       const MaskAxis& rows, int index, std::uint32_t* out, Tile& tile) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  const int left = index / tiles_down(rows) * kTileColumns;
  const int top = index % tiles_down(rows) * kTileRows;
  __syncthreads();  // the tile before this one has been read
  tile.columns.read(columns, left, thread);
  tile.rows.read(rows, top, thread - kTileRows);
  __syncthreads();
  if (thread == 0) tile.columns.lay_out();
  if (thread == 32) tile.rows.lay_out();
  __syncthreads();
  compute_logits(p, source, tile);
  __syncthreads();
  const int column_words = words_of_column(rows);
  for (int w = thread / 32; w < kTileColumns * kTileWords; w += kWarps) {
    const int x = w % kTileColumns, word = w / kTileColumns;
    if (x >= tile.columns.pixels || word * 32 >= tile.rows.pixels) continue;
    const int y = word * 32 + lane;
    bool inside = false;
    if (y < tile.rows.pixels) {
      const float* upper = tile.logits + tile.rows.slot(y) * tile.columns.slots;
      const float* lower = tile.logits + tile.rows.next_slot(y) * tile.columns.slots;
      const int here = tile.columns.slot(x), next = tile.columns.next_slot(x);
      const float weight = tile.columns.places[x].weight;
      inside = in_mask(between(upper[here], upper[next], weight),
                       between(lower[here], lower[next], weight), tile.rows.places[y].weight);
    }
    const unsigned bits = __ballot_sync(kAll, inside);
    if (lane == 0) {
      out[static_cast<std::size_t>(left + x) * column_words + top / 32 + word] = bits;
    }
  }
}

// The object that tile `index` belongs to: the last whose first tile is not behind it. Objects
// without a tile begin where the next one does.
__device__ int object_at(const MaskPlace* places, int count, std::int64_t index) {
  int low = 0, high = count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (places[middle].tile <= index ? low : high) = middle;
  }
  return low;
}

__global__ void __launch_bounds__(kThreads) mask_kernel(const __grid_constant__ MaskParams p) {
  __shared__ Tile tile;
  cuda::let_next_kernel_start();
  cuda::wait_for_previous_kernel();
  const int picture = p.first_picture + static_cast<int>(blockIdx.y);
  const Letterbox& letterbox = p.letterboxes[blockIdx.y];
  const std::uint8_t* block = p.blocks + picture * p.layout.block_bytes();
  const std::uint8_t* rest = p.rests + picture * p.layout.rest_bytes();
  const BlockHeader header = *reinterpret_cast<const BlockHeader*>(block);
  const MaskPlace* places =
      p.space.places + static_cast<std::size_t>(picture) * (p.layout.most_rows + 1);
  if (header.rendered == 0) return;
  const std::int64_t tiles = places[header.rendered].tile;
  for (std::int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    const int object = object_at(places, header.rendered, t);
    const auto& row = *reinterpret_cast<const BoxRow*>(p.layout.row(block, rest, object));
    render(p, source_of(p, picture, row.anchor), mask_columns(p.space.field, row.box, letterbox),
           mask_rows(p.space.field, row.box, letterbox), static_cast<int>(t - places[object].tile),
           p.space.arena + header.mask_offset + places[object].word, tile);
  }
}

struct StripParams {
  MaskParams masks;
  MaskStrip strip;
};

__global__ void __launch_bounds__(kThreads) strip_kernel(const __grid_constant__ StripParams p) {
  __shared__ Tile tile;
  const Letterbox& letterbox = p.masks.letterboxes[0];
  const MaskField& field = p.masks.space.field;
  MaskAxis columns = mask_columns(field, p.strip.box, letterbox);
  columns.begin = p.strip.begin, columns.end = p.strip.end;
  render(p.masks, source_of(p.masks, p.masks.first_picture, p.strip.anchor), columns,
         mask_rows(field, p.strip.box, letterbox), static_cast<int>(blockIdx.x),
         p.masks.space.arena, tile);
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

void launch_mask_strip(const MaskParams& params, const MaskStrip& strip, cudaStream_t stream) {
  const StripParams all{params, strip};
  MaskAxis columns;
  columns.begin = strip.begin, columns.end = strip.end;
  const MaskAxis rows = mask_rows(params.space.field, strip.box, params.letterboxes[0]);
  cuda::LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(mask_tiles(columns, rows)));
  shape.block = dim3(kThreads);
  shape.overlapped = false;
  cuda::launch(reinterpret_cast<const void*>(&strip_kernel), shape, all, stream);
}

}  // namespace peregrine::vision
