// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

namespace peregrine {

/// Copies between host and GPU as the driver saw them.
struct SeenTransfers {
  std::uint64_t up_bytes = 0, down_bytes = 0;
  std::uint64_t up = 0, down = 0;  ///< copies
};

/// Listens to the driver's memcpy activity through CUPTI (opened by name), to check the ledger
/// from outside. One at a time; costs some microseconds a copy.
class TransferAudit {
 public:
  virtual ~TransferAudit() = default;
  /// What was seen since it was made. Waits for the GPU. Throws `Error(kGpu)` when records were
  /// lost, as nothing is proven then.
  virtual SeenTransfers finish() = 0;
};

/// Throws `Error(kGpu)` when CUPTI is not there or does not start, saying where it comes from; also
/// in a build without CUDA.
std::unique_ptr<TransferAudit> audit_transfers();

}  // namespace peregrine
