// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

namespace peregrine::vision {

/// Collects runs of equal pixels; the first run counts zeros and may be empty.
class RunWriter {
 public:
  explicit RunWriter(std::vector<std::uint32_t>& counts) : counts_(counts) {}

  void add(bool value, std::int64_t pixels) {
    if (pixels == 0) return;
    if (value != value_) {
      counts_.push_back(run_);
      run_ = 0;
      value_ = value;
    }
    run_ += static_cast<std::uint32_t>(pixels);
  }

  /// `pixels` (1 to 32) of a word, the lowest bit first.
  void add_bits(std::uint32_t bits, int pixels) {
    for (int done = 0; done < pixels;) {
      // Behind the shift come zeros: a run of ones ends at them, one of zeros at the last pixel.
      const std::uint32_t rest = bits >> done;
      const bool value = (rest & 1) != 0;
      const int run =
          std::min(value ? std::countr_one(rest) : std::countr_zero(rest), pixels - done);
      add(value, run);
      done += run;
    }
  }

  void finish() { counts_.push_back(run_); }

 private:
  std::vector<std::uint32_t>& counts_;
  std::uint32_t run_ = 0;
  bool value_ = false;
};

}  // namespace peregrine::vision
