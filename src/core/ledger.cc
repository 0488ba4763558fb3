// SPDX-License-Identifier: Apache-2.0
#include "core/ledger.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

namespace peregrine {
namespace {

struct Points {
  std::mutex mutex;
  std::vector<TransferPoint*> all;
};
// Never destroyed: transfers may be counted while other static objects go.
Points& points() {
  static auto* all = new Points;
  return *all;
}

using Key = std::tuple<Crossing, std::string, std::string>;
Key key_of(const LedgerEntry& entry) { return {entry.direction, entry.stage, entry.reason}; }

}  // namespace

void TransferPoint::add(std::size_t bytes) noexcept {
  if (!listed_.load(std::memory_order_acquire)) Ledger::list(*this);
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  transfers_.fetch_add(1, std::memory_order_relaxed);
}

void Ledger::list(TransferPoint& point) noexcept {
  const std::lock_guard lock(points().mutex);
  if (!point.listed_.exchange(true, std::memory_order_acq_rel)) points().all.push_back(&point);
}

std::vector<LedgerEntry> Ledger::snapshot() {
  std::map<Key, LedgerEntry> rows;
  const std::lock_guard lock(points().mutex);
  for (const TransferPoint* point : points().all) {
    LedgerEntry entry{point->direction_, point->stage_, point->reason_, 0, 0};
    LedgerEntry& row = rows.try_emplace(key_of(entry), entry).first->second;
    row.bytes += point->bytes_.load(std::memory_order_relaxed);
    row.transfers += point->transfers_.load(std::memory_order_relaxed);
  }
  std::vector<LedgerEntry> entries;
  for (auto& [key, row] : rows) entries.push_back(std::move(row));
  return entries;
}

std::vector<LedgerEntry> Ledger::difference(const std::vector<LedgerEntry>& before,
                                            const std::vector<LedgerEntry>& after) {
  std::vector<LedgerEntry> added;
  for (LedgerEntry entry : after) {
    const auto earlier = std::find_if(before.begin(), before.end(), [&](const LedgerEntry& each) {
      return key_of(each) == key_of(entry);
    });
    if (earlier != before.end()) {
      entry.bytes -= earlier->bytes;
      entry.transfers -= earlier->transfers;
    }
    if (entry.transfers > 0) added.push_back(std::move(entry));
  }
  return added;
}

}  // namespace peregrine
