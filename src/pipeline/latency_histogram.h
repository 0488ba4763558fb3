// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace peregrine::pipeline {

/// Durations in constant memory: 32 buckets for each power of two nanoseconds, so a percentile is
/// exact to 1/32 (3%) however long the run. Durations past 2^42 ns (73 minutes) count as that long.
/// Not thread-safe.
class LatencyHistogram {
 public:
  void add(std::int64_t nanoseconds) {
    const auto value =
        static_cast<std::uint64_t>(std::clamp<std::int64_t>(nanoseconds, 0, kLongest));
    ++buckets_[bucket_of(value)];
    ++count_;
    total_ += value;
  }

  void merge(const LatencyHistogram& other) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    total_ += other.total_;
  }

  /// Leaves what was added since `earlier`, a copy of this one at that time.
  void subtract(const LatencyHistogram& earlier) {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] -= earlier.buckets_[i];
    count_ -= earlier.count_;
    total_ -= earlier.total_;
  }

  std::uint64_t count() const { return count_; }
  double total_seconds() const { return static_cast<double>(total_) * 1e-9; }
  double mean_seconds() const {
    return count_ == 0 ? 0.0 : total_seconds() / static_cast<double>(count_);
  }

  /// Least duration that `fraction` (0 to 1) of the entries do not exceed, as its bucket's middle;
  /// 0 when empty.
  double percentile_seconds(double fraction) const {
    if (count_ == 0) return 0;
    const double wanted = fraction * static_cast<double>(count_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen > 0 && static_cast<double>(seen) >= wanted) return middle_of(i) * 1e-9;
    }
    return 0;
  }

 private:
  static constexpr int kSubBits = 5;
  static constexpr int kTopBits = 42;
  static constexpr std::int64_t kLongest = (std::int64_t{1} << kTopBits) - 1;
  static constexpr std::uint64_t kSub = 1u << kSubBits;

  // Values below 32 ns have a bucket each; above, the leading bit picks the octave and the next
  // five the bucket in it.
  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kSub) return value;
    const int shift = std::bit_width(value) - 1 - kSubBits;
    return (static_cast<std::size_t>(shift) + 1) * kSub + ((value >> shift) - kSub);
  }
  static double middle_of(std::size_t bucket) {
    if (bucket < kSub) return static_cast<double>(bucket);
    const auto shift = bucket / kSub - 1;
    const double low = static_cast<double>((kSub + bucket % kSub) << shift);
    return low + static_cast<double>(std::uint64_t{1} << shift) / 2;
  }

  std::array<std::uint64_t, (kTopBits - kSubBits + 1) * kSub> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace peregrine::pipeline
