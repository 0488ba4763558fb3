// SPDX-License-Identifier: Apache-2.0
// The k first of every row in order, one block a row. Each element becomes a 64-bit number, its
// value above its index, so that all differ and equal values stay in order: the k smallest numbers
// are found by a radix selection (eight bits a pass; passes over the index only where values tie
// at the border), gathered in any order, and sorted.
#pragma once

#include <cuda_runtime_api.h>

#include "engine/cuda/kernels/element.h"
#include "engine/cuda/kernels/walk.h"

namespace peregrine::cuda {

struct TopKParams {
  const void* input = nullptr;
  void* values = nullptr;            ///< may be null
  std::int64_t* indices = nullptr;   ///< may be null
  std::uint64_t* scratch = nullptr;  ///< `sorted` numbers a row; null: they fit shared memory
  DType input_dtype = DType::kFloat32;
  DType value_dtype = DType::kFloat32;
  bool largest = true;
  std::int32_t length = 0;  ///< of a row
  std::int32_t k = 0;
  std::int32_t sorted = 0;  ///< numbers to sort, a power of two that holds k or, unselected, all
  bool selects = false;     ///< false: the whole row is sorted
  std::int32_t input_stride = 1, value_stride = 1, index_stride = 1;  ///< along the row
  Walk<3> walk;  ///< over rows: values, input, indices
};

/// Sorting more numbers than these in shared memory would cost blocks their place on smaller GPUs.
inline constexpr int kTopKSharedNumbers = 4096;

/// float32, float16 and int32 by selection.
void launch_top_k(const TopKParams& params, bool overlapped, cudaStream_t stream);

/// int64 does not leave room for an index: each element counts those that go before it.
inline constexpr std::int64_t kTopKLongestCounted = 1 << 15;
struct CountedTopKParams {
  const std::int64_t* input = nullptr;
  std::int64_t* values = nullptr;   ///< may be null
  std::int64_t* indices = nullptr;  ///< may be null
  bool largest = true;
  std::int32_t length = 0, k = 0;
  std::int32_t input_stride = 1, value_stride = 1, index_stride = 1;
  Walk<4> walk;  ///< over elements: input row, values row, indices row, position in the row
};
void launch_counted_top_k(const CountedTopKParams& params, bool overlapped, cudaStream_t stream);

struct CountedTopKBody {
  using Params = CountedTopKParams;
  static PEREGRINE_HOST_DEVICE void run(const Params& p, int index) {
    int at[4];
    p.walk.offsets(index, at);
    const std::int64_t* row = p.input + at[0];
    const std::int64_t own = row[at[3] * p.input_stride];
    int rank = 0;
    for (int i = 0; i < p.length; ++i) {
      const std::int64_t other = row[i * p.input_stride];
      const bool ahead = p.largest ? other > own : other < own;
      rank += ahead || (other == own && i < at[3]) ? 1 : 0;
    }
    if (rank >= p.k) return;
    if (p.values) p.values[at[1] + rank * p.value_stride] = own;
    if (p.indices) p.indices[at[2] + rank * p.index_stride] = at[3];
  }
};

namespace top_k {

inline constexpr int kDigitBits = 8;
inline constexpr int kBins = 1 << kDigitBits;

/// Larger values have larger keys; -0 and 0 the same.
PEREGRINE_HOST_DEVICE std::uint32_t ascending_key(float value) {
  if (value == 0) value = 0;
  std::uint32_t bits;
#ifdef __CUDA_ARCH__
  bits = __float_as_uint(value);
#else
  __builtin_memcpy(&bits, &value, sizeof(bits));
#endif
  return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}
PEREGRINE_HOST_DEVICE std::uint32_t ascending_key(std::int32_t value) {
  return static_cast<std::uint32_t>(value) ^ 0x80000000U;
}
PEREGRINE_HOST_DEVICE std::uint32_t ascending_key(__half value) {
  return ascending_key(__half2float(value));
}

template <typename T>
PEREGRINE_HOST_DEVICE std::uint64_t number(const TopKParams& p, const T* row, int i) {
  const std::uint32_t key = ascending_key(row[i * p.input_stride]);
  return std::uint64_t{p.largest ? ~key : key} << 32 | static_cast<std::uint32_t>(i);
}

/// What the threads of a block share besides the numbers to sort.
struct Shared {
  std::uint32_t bins[kBins];
  std::uint64_t prefix;  ///< leading digits of the k-th number
  std::int32_t wanted;   ///< how many numbers with this prefix are among the first k
  std::int32_t found;    ///< how many numbers there are with it
  std::int32_t gathered;
};

/// The largest number that belongs to the first k. `Team`: the threads of a block, or one thread in
/// CPU tests: rank(), size(), sync(), add(counter), find_bin(shared).
template <typename Team, typename T>
PEREGRINE_HOST_DEVICE std::uint64_t select_border(const Team& team, const TopKParams& p,
                                                  const T* row, Shared& shared) {
  if (team.rank() == 0) {
    shared.prefix = 0;
    shared.wanted = p.k;
    shared.gathered = 0;
  }
  for (int shift = 64 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    if (shift < 32 && shift >= kDigitBits && (p.length - 1) >> shift == 0) {
      // All indices have a zero here.
      if (team.rank() == 0) shared.prefix <<= kDigitBits;
      continue;
    }
    for (int b = team.rank(); b < kBins; b += team.size()) shared.bins[b] = 0;
    team.sync();
    const std::uint64_t prefix = shared.prefix;
    for (int i = team.rank(); i < p.length; i += team.size()) {
      const std::uint64_t value = number(p, row, i);
      // In two shifts: by 64 at once has no meaning.
      if (value >> shift >> kDigitBits == prefix) {
        team.add(&shared.bins[value >> shift & (kBins - 1)]);
      }
    }
    team.sync();
    team.find_bin(shared);
    team.sync();
    if (shared.found == shared.wanted) {
      return (shared.prefix << shift) | ((std::uint64_t{1} << shift) - 1);
    }
  }
  return shared.prefix;  // not reached: at the last digit every number is alone
}

/// Sorts `p.sorted` numbers, a power of two, ascending (Batcher's bitonic network).
template <typename Team>
PEREGRINE_HOST_DEVICE void sort(const Team& team, std::uint64_t* numbers, int count) {
  for (int run = 2; run <= count; run *= 2) {
    for (int gap = run / 2; gap > 0; gap /= 2) {
      team.sync();
      for (int pair = team.rank(); pair < count / 2; pair += team.size()) {
        const int low = 2 * pair - (pair & (gap - 1));
        const int high = low + gap;
        const bool ascending = (low & run) == 0;
        const std::uint64_t a = numbers[low], b = numbers[high];
        if ((a > b) == ascending) {
          numbers[low] = b;
          numbers[high] = a;
        }
      }
    }
  }
  team.sync();
}

template <typename Team, typename T>
PEREGRINE_HOST_DEVICE void run_row(const Team& team, const TopKParams& p, int row_index,
                                   Shared& shared, std::uint64_t* numbers) {
  int at[3];
  p.walk.offsets(row_index, at);
  const T* row = static_cast<const T*>(p.input) + at[1];
  for (int i = team.rank(); i < p.sorted; i += team.size()) numbers[i] = ~std::uint64_t{0};
  if (p.selects) {
    const std::uint64_t border = select_border(team, p, row, shared);
    for (int i = team.rank(); i < p.length; i += team.size()) {
      const std::uint64_t value = number(p, row, i);
      if (value <= border) numbers[team.add(&shared.gathered)] = value;
    }
  } else {
    for (int i = team.rank(); i < p.length; i += team.size()) numbers[i] = number(p, row, i);
  }
  sort(team, numbers, p.sorted);
  for (int i = team.rank(); i < p.k; i += team.size()) {
    const auto from = static_cast<std::int32_t>(numbers[i] & 0xffffffffU);
    if (p.indices) p.indices[at[2] + i * p.index_stride] = from;
    if (!p.values) continue;
    const T value = row[from * p.input_stride];
    const int to = at[0] + i * p.value_stride;
    if constexpr (std::is_same_v<T, std::int32_t>) {
      static_cast<std::int32_t*>(p.values)[to] = value;
    } else if (p.value_dtype == DType::kFloat16) {
      static_cast<__half*>(p.values)[to] = converted<__half>(converted<float>(value));
    } else {
      static_cast<float*>(p.values)[to] = converted<float>(value);
    }
  }
}

}  // namespace top_k
}  // namespace peregrine::cuda
