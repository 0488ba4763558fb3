// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace peregrine {

/// Which way bytes cross the bus between host and GPU.
enum class Crossing : std::uint8_t { kUp, kDown };

/// One place in the program that moves bytes between host and GPU, and why. Every transfer goes
/// through one (core/cuda/copy.h), so that the ledger can answer for all of them. Make it a static
/// object; counting costs two atomic additions.
class TransferPoint {
 public:
  /// `stage` and `reason` are literals: "decode", "bitstream". A point is listed from its first
  /// transfer on; points of equal stage, reason and direction are one row.
  constexpr TransferPoint(Crossing direction, const char* stage, const char* reason)
      : direction_(direction), stage_(stage), reason_(reason) {}
  TransferPoint(const TransferPoint&) = delete;
  TransferPoint& operator=(const TransferPoint&) = delete;

  /// Safe from any thread.
  void add(std::size_t bytes) noexcept;

  Crossing direction() const { return direction_; }
  const char* stage() const { return stage_; }
  const char* reason() const { return reason_; }

 private:
  friend class Ledger;
  const Crossing direction_;
  const char* const stage_;
  const char* const reason_;
  std::atomic<std::uint64_t> bytes_{0}, transfers_{0};
  std::atomic<bool> listed_{false};
};

/// One row of the ledger.
struct LedgerEntry {
  Crossing direction = Crossing::kUp;
  std::string stage, reason;
  std::uint64_t bytes = 0, transfers = 0;
};

/// What has crossed the bus since the process began.
class Ledger {
 public:
  /// Sorted by direction, stage and reason. Safe from any thread; counters are read one by one, so
  /// a run that is under way may show a transfer without its neighbour.
  static std::vector<LedgerEntry> snapshot();
  /// What was added from `before` to `after`; rows without a transfer are left out.
  static std::vector<LedgerEntry> difference(const std::vector<LedgerEntry>& before,
                                             const std::vector<LedgerEntry>& after);

 private:
  friend class TransferPoint;
  static void list(TransferPoint& point) noexcept;
};

}  // namespace peregrine
