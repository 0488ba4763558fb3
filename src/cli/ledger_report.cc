// SPDX-License-Identifier: Apache-2.0
#include "cli/ledger_report.h"

#include <span>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "peregrine/error.h"

namespace peregrine::cli {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of(Crossing direction) { return direction == Crossing::kUp ? "up" : "down"; }

// The driver takes the compressed stream up itself, in no copy that CUPTI reports.
bool is_driver_s_own(const LedgerEntry& entry) { return entry.stage == "decode"; }

std::string to_json(const pipeline::RunSummary& summary) {
  Json rows = Json::array();
  for (const LedgerEntry& each : summary.transfers) {
    rows.push_back({{"direction", name_of(each.direction)},
                    {"stage", each.stage},
                    {"reason", each.reason},
                    {"bytes", each.bytes},
                    {"transfers", each.transfers},
                    {"bytes_per_frame", summary.frames > 0 ? static_cast<double>(each.bytes) /
                                                                 static_cast<double>(summary.frames)
                                                           : 0.0}});
  }
  return Json{{"schema", 1}, {"frames", summary.frames}, {"transfers", rows}}.dump(1) + "\n";
}

}  // namespace

LedgerReport::LedgerReport(std::string asked) : asked_(std::move(asked)) {
  if (asked_ == "audit") audit_ = audit_transfers();
}

void LedgerReport::finish(const pipeline::RunSummary& summary) {
  if (asked_.empty()) return;
  if (!audit_) {
    const std::string text = to_json(summary);
    AtomicFile file(asked_);
    file.write(std::as_bytes(std::span(text)));
    return file.commit();
  }
  const SeenTransfers seen = audit_->finish();
  std::uint64_t up = 0, down = 0;
  for (const LedgerEntry& each : summary.transfers) {
    if (is_driver_s_own(each)) continue;
    (each.direction == Crossing::kUp ? up : down) += each.bytes;
  }
  const std::string figures =
      fmt::format("up {} bytes in the ledger, {} seen by the driver; down {} and {}", up,
                  seen.up_bytes, down, seen.down_bytes);
  if (up != seen.up_bytes || down != seen.down_bytes) {
    throw Error(ErrorCode::kGpu, "the ledger is incomplete: " + figures);
  }
  fmt::print(stderr, "  audit: the ledger is complete: {}\n", figures);
}

}  // namespace peregrine::cli
