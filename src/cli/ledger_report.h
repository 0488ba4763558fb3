// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "core/transfer_audit.h"
#include "pipeline/pipeline.h"

namespace peregrine::cli {

/// What `--ledger` asks for: a JSON file of every transfer's direction, stage, reason and bytes, or
/// "audit": the ledger compared with what the driver saw.
class LedgerReport {
 public:
  /// `asked`: a path, "audit", or empty. Starts listening for an audit: make it when models are
  /// loaded and nothing has been decoded. Throws `Error(kGpu)`, `Error(kOutput)`.
  explicit LedgerReport(std::string asked);
  /// Writes the file, or prints the audit's verdict to standard error. Throws `Error(kGpu)` when
  /// the driver saw other bytes than the ledger has, `Error(kOutput)`.
  void finish(const pipeline::RunSummary& summary);

 private:
  const std::string asked_;
  std::unique_ptr<TransferAudit> audit_;
};

}  // namespace peregrine::cli
