// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(__x86_64__)

#include <algorithm>
#include <cstdint>

#include <immintrin.h>

// Loops of row_kernels.h that GCC does not vectorize well, by hand, with the same bits.

namespace peregrine::vision {

/// Which chroma samples the luma columns `first`, `first + step`, ... lie between, as byte indices
/// into 16 bytes of a chroma row: pairs (near, far) for eight columns, or of interleaved U V for
/// four columns of U and then of V. The next 16 bytes that are looked at begin `4 * step` further.
struct ChromaPairs {
  static constexpr int kMaxStep = 4;  // eight columns further apart span more than 16 bytes

  int base = 0;     ///< sample of the first byte; -1: left of the picture
  int advance = 0;  ///< bytes from one 16 to the next
  alignas(16) std::uint8_t index[16] = {};

  ChromaPairs(int first, int step, bool interleaved) : advance(4 * step) {
    const auto far_of = [](int column) { return column / 2 + (column % 2 == 0 ? -1 : 1); };
    base = std::min(first / 2, far_of(first));
    for (int i = 0; i < 8; ++i) {
      const int column = first + step * (interleaved ? i % 4 : i);
      const int near = column / 2 - base, far = far_of(column) - base;
      index[2 * i] = static_cast<std::uint8_t>(interleaved ? 2 * near + i / 4 : near);
      index[2 * i + 1] = static_cast<std::uint8_t>(interleaved ? 2 * far + i / 4 : far);
    }
  }

  /// Bytes from the first to the last that are read for `count` columns.
  int span(int count, bool interleaved) const {
    const int columns = interleaved ? 8 : 16;  // a step of the loop
    return (count + columns - 1) / columns * 2 * advance - advance + 16;
  }
};

/// 3 * near + far of sixteen pairs, each half from 16 bytes of the row.
[[gnu::target("avx2")]] inline __m256i weigh_pairs(const std::uint8_t* row, int advance,
                                                   __m256i index) {
  const auto* const low = reinterpret_cast<const __m128i*>(row);
  const auto* const high = reinterpret_cast<const __m128i*>(row + advance);
  const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                                _mm_loadu_si128(high), 1);
  return _mm256_maddubs_epi16(_mm256_shuffle_epi8(bytes, index), _mm256_set1_epi16(0x0103));
}

/// The same between two rows, around zero, in the fixed point of chroma rows.
[[gnu::target("avx2")]] inline __m256i weigh_rows(const std::uint8_t* near, const std::uint8_t* far,
                                                  int advance, __m256i index) {
  const __m256i near_sum = weigh_pairs(near, advance, index);
  const __m256i sum = _mm256_add_epi16(_mm256_mullo_epi16(near_sum, _mm256_set1_epi16(3)),
                                       weigh_pairs(far, advance, index));
  return _mm256_slli_epi16(_mm256_sub_epi16(sum, _mm256_set1_epi16(16 * 128)), 3);
}

/// Both halves of the chroma interpolation (`blend_chroma_rows` and `widen_chroma`) in one, from
/// bytes: a byte shuffle brings near and far samples side by side, one instruction weighs and adds
/// them. Writes up to 15 values past `count`.
[[gnu::target("avx2")]] inline void interpolate_chroma_avx2(const std::uint8_t* near,
                                                            const std::uint8_t* far,
                                                            const ChromaPairs& pairs, int count,
                                                            std::int16_t* out) {
  const __m256i index =
      _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(pairs.index)));
  for (int i = 0; i < count; i += 16) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        weigh_rows(near, far, pairs.advance, index));
    near += 2 * pairs.advance;
    far += 2 * pairs.advance;
  }
}

/// The same for interleaved U V.
[[gnu::target("avx2")]] inline void interpolate_chroma_pairs_avx2(const std::uint8_t* near,
                                                                  const std::uint8_t* far,
                                                                  const ChromaPairs& pairs,
                                                                  int count, std::int16_t* u,
                                                                  std::int16_t* v) {
  const __m256i index =
      _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(pairs.index)));
  for (int i = 0; i < count; i += 8) {
    // Four of U and four of V in each half.
    const __m256i both =
        _mm256_permute4x64_epi64(weigh_rows(near, far, pairs.advance, index), 0b11'01'10'00);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(u + i), _mm256_castsi256_si128(both));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(v + i), _mm256_extracti128_si256(both, 1));
    near += 2 * pairs.advance;
    far += 2 * pairs.advance;
  }
}

}  // namespace peregrine::vision

#endif
