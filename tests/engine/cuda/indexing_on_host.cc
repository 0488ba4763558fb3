// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/indexing_on_host.h"

#include <algorithm>
#include <vector>

#include "engine/cuda/kernels/copy.h"
#include "engine/cuda/kernels/unit.h"
#include "engine/cuda/ops/indexing.h"
#include "engine/cuda/ops/quantize.h"
#include "engine/cuda/ops/sampling.h"
#include "engine/cuda/ops/selection.h"
#include "engine/cuda/ops/sort.h"

namespace peregrine::testing {
namespace {

using namespace peregrine::cuda;

template <typename Params>
void run_each(const Params& params) {
  with_body(params, [&]<typename Body>(Body) {
    for (int i = 0; i < params.walk.count; ++i) Body::run(params, i);
  });
}

// As tiled_copy_kernel walks its squares.
template <typename Put>
void copy_tiles(const TiledCopyParams& p, Put&& put) {
  constexpr int kTile = TiledCopyParams::kTile;
  for (int block = 0; block < p.blocks(); ++block) {
    int quotient = p.tiles_along_output.divide(block);
    const int first_output = (block - quotient * int(p.tiles_along_output.divisor)) * kTile;
    const int rest = quotient;
    quotient = p.tiles_along_input.divide(rest);
    const int first_input = (rest - quotient * int(p.tiles_along_input.divisor)) * kTile;
    int at[2];
    p.rest.offsets(quotient, at);
    for (int o = first_output; o < first_output + kTile && o < p.along_output; ++o) {
      for (int i = first_input; i < first_input + kTile && i < p.along_input; ++i) {
        put(at[0] + o + i * p.output_stride, at[1] + i + o * p.input_stride);
      }
    }
  }
}

// The launcher's choices: units as wide as can be, squares, single elements.
void run_copy(const BoundStep& step) {
  const TensorView &from = step.input(0), &to = step.output();
  CopyParams p = make_copy(to.shape, from.strides, to.strides);
  p.input = from.data;
  p.output = to.data;
  if (p.walk.count == 0) return;
  const auto each = [&](auto&& put) {
    if (const auto tiled = make_tiled_copy(p)) return copy_tiles(*tiled, put);
    for (int i = 0; i < p.walk.count; ++i) {
      int at[2];
      p.walk.offsets(i, at);
      put(at[0], at[1]);
    }
  };
  if (from.dtype != to.dtype) {
    return each([&](int place, int source) {
      store_any(to.data, to.dtype, place, load_any<float>(from.data, from.dtype, source));
    });
  }
  const std::size_t bytes = size_of(from.dtype);
  const int width = vector_width(p.walk, 2, int(16 / bytes), {{p.input, bytes}, {p.output, bytes}});
  p.walk = widened(p.walk, 2, width, true);
  with_unit(int(bytes) * width, [&]<typename Unit>(Unit*) {
    each([&](int place, int source) {
      static_cast<Unit*>(to.data)[place] = static_cast<const Unit*>(from.data)[source];
    });
  });
}

struct OneThread {
  int rank() const { return 0; }
  int size() const { return 1; }
  void sync() const {}
  void add(std::uint32_t* counter) const { ++*counter; }
  int add(std::int32_t* counter) const { return (*counter)++; }
  void find_bin(top_k::Shared& shared) const {
    int bin = 0;
    while (int(shared.bins[bin]) < shared.wanted) shared.wanted -= int(shared.bins[bin++]);
    shared.prefix = shared.prefix << top_k::kDigitBits | unsigned(bin);
    shared.found = int(shared.bins[bin]);
  }
};

void run_top_k(const TopKParams& p) {
  top_k::Shared shared;
  std::vector<std::uint64_t> numbers(static_cast<std::size_t>(p.sorted));
  for (int row = 0; row < p.walk.count; ++row) {
    std::uint64_t* place = p.scratch ? p.scratch + std::int64_t(row) * p.sorted : numbers.data();
    switch (p.input_dtype) {
      case DType::kFloat16: top_k::run_row<OneThread, __half>({}, p, row, shared, place); break;
      case DType::kInt32: top_k::run_row<OneThread, std::int32_t>({}, p, row, shared, place); break;
      default: top_k::run_row<OneThread, float>({}, p, row, shared, place); break;
    }
  }
}

void run_non_zero(const NonZeroParams& p) {
  int found = 0;
  for (int i = 0; i < p.walk.count; ++i) {
    if (is_non_zero(p, i)) put_position(p, found++, i);
  }
  while (found < p.walk.count) put_position(p, found++, -1);
}

void run_suppress(const SuppressParams& p) {
  using suppression::Corners;
  for (int row = 0; row < p.rows; ++row) {
    std::uint64_t* numbers = p.numbers + std::int64_t(row) * p.pitch;
    int count = 0;
    for (int box = 0; box < p.boxes_each; ++box) {
      const std::uint64_t number = suppression::candidate(p, row, box);
      if (number != suppression::kNoCandidate) numbers[count++] = number;
    }
    int padded = 1;
    while (padded < count) padded *= 2;
    for (int i = count; i < padded; ++i) numbers[i] = ~std::uint64_t{0};
    top_k::sort(OneThread{}, numbers, padded);
    auto* kept = reinterpret_cast<Corners*>(p.kept) + std::int64_t(row) * p.limit;
    int& chosen = p.counts[row] = 0;
    for (int i = 0; i < count && chosen < p.limit; ++i) {
      const int box = int(numbers[i] & 0xffffffffU);
      const Corners corners = suppression::corners_of(p, row / p.classes, box);
      const bool hidden = std::any_of(kept, kept + chosen, [&](const Corners& other) {
        return suppression::overlap(corners, other) > p.max_iou;
      });
      if (hidden) continue;
      kept[chosen] = corners;
      p.selected[std::int64_t(row) * p.limit + chosen++] = box;
    }
  }
}

void run_suppressed_rows(const SuppressedRowsParams& p) {
  int entry = 0;
  for (int row = 0; row < p.rows; ++row) {
    for (int k = 0; k < p.counts[row]; ++k) {
      put_selection(p, entry++, row, p.selected[std::int64_t(row) * p.limit + k]);
    }
  }
  while (entry < p.rows * p.limit) put_selection(p, entry++, -1, -1);
}

}  // namespace

bool run_indexing_on_host(const BoundStep& step) {
  const std::string& kernel = step.step.kernel;
  if (kernel == "copy") {
    run_copy(step);
  } else if (kernel == "gather") {
    run_each(gather_params(step));
  } else if (kernel == "gather_elements") {
    run_each(gather_elements_params(step));
  } else if (kernel == "gather_nd") {
    run_each(gather_nd_params(step));
  } else if (kernel == "scatter_elements") {
    run_each(scatter_elements_params(step));
  } else if (kernel == "scatter_nd") {
    run_each(scatter_nd_params(step));
  } else if (kernel == "remap") {
    run_each(remap_params(step));
  } else if (kernel == "trilu") {
    run_each(trilu_params(step));
  } else if (kernel == "reverse") {
    run_each(reverse_params(step));
  } else if (kernel == "one_hot") {
    run_each(one_hot_params(step));
  } else if (kernel == "top_k") {
    run_top_k(top_k_params(step));
  } else if (kernel == "counted_top_k") {
    const CountedTopKParams p = counted_top_k_params(step);
    for (int i = 0; i < p.walk.count; ++i) CountedTopKBody::run(p, i);
  } else if (kernel == "non_zero") {
    run_non_zero(non_zero_params(step));
  } else if (kernel == "suppress") {
    run_suppress(suppress_params(step));
  } else if (kernel == "suppressed_rows") {
    run_suppressed_rows(suppressed_rows_params(step));
  } else if (kernel == "resize") {
    run_each(resize_params(step));
  } else if (kernel == "grid_sample") {
    run_each(grid_sample_params(step));
  } else if (kernel == "roi_align") {
    run_each(roi_align_params(step));
  } else if (kernel == "quantize") {
    run_each(quantize_params(step));
  } else {
    return false;
  }
  return true;
}

}  // namespace peregrine::testing
