// SPDX-License-Identifier: Apache-2.0
#include "core/transfer_audit.h"

#include <atomic>
#include <cstdlib>

#include <cuda_runtime_api.h>
#include <cupti.h>
#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/shared_library.h"
#include "peregrine/error.h"

namespace peregrine {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 20;
constexpr std::size_t kAlignment = 8;

// CUPTI's callbacks take no pointer of ours: what they count is the process's.
struct Counters {
  std::atomic<std::uint64_t> up_bytes{0}, down_bytes{0}, up{0}, down{0}, lost{0};
};
Counters& counters() {
  static auto* all = new Counters;
  return *all;
}

std::string library_name() { return fmt::format("libcupti.so.{}", CUDART_VERSION / 1000); }

const SharedLibrary& cupti() {
  static const auto* library = [] {
    auto* named = new SharedLibrary(library_name().c_str());
    if (*named) return named;
    // The toolkit keeps it aside of what the loader searches.
    return new SharedLibrary(("/usr/local/cuda/extras/CUPTI/lib64/" + library_name()).c_str());
  }();
  return *library;
}

template <typename... Arguments>
void call(const char* name, Arguments... arguments) {
  auto* function = cupti().find<CUptiResult(Arguments...)>(name);
  const CUptiResult result = function ? function(arguments...) : CUPTI_ERROR_NOT_INITIALIZED;
  if (result == CUPTI_SUCCESS) return;
  throw Error(ErrorCode::kGpu,
              fmt::format("--ledger audit: {} failed (CUPTI result {}). CUPTI comes with the CUDA "
                          "toolkit; put {} on LD_LIBRARY_PATH, or leave the audit out",
                          name, static_cast<int>(result), library_name()));
}

void CUPTIAPI give_buffer(std::uint8_t** buffer, std::size_t* size, std::size_t* records) {
  *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(kAlignment, kBufferBytes));
  *size = *buffer ? kBufferBytes : 0;
  *records = 0;
}

void count(const CUpti_Activity& record) {
  if (record.kind != CUPTI_ACTIVITY_KIND_MEMCPY) return;
  const auto& copy = reinterpret_cast<const CUpti_ActivityMemcpy6&>(record);
  Counters& all = counters();
  if (copy.copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_HTOD ||
      copy.copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_HTOA) {
    all.up_bytes += copy.bytes;
    ++all.up;
  } else if (copy.copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_DTOH ||
             copy.copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_ATOH) {
    all.down_bytes += copy.bytes;
    ++all.down;
  }
}

void CUPTIAPI take_buffer(CUcontext context, std::uint32_t stream, std::uint8_t* buffer,
                          std::size_t /*size*/, std::size_t valid) {
  auto* next = cupti().find<CUptiResult(std::uint8_t*, std::size_t, CUpti_Activity**)>(
      "cuptiActivityGetNextRecord");
  CUpti_Activity* record = nullptr;
  while (next && next(buffer, valid, &record) == CUPTI_SUCCESS) count(*record);
  std::size_t dropped = 0;
  auto* ask = cupti().find<CUptiResult(CUcontext, std::uint32_t, std::size_t*)>(
      "cuptiActivityGetNumDroppedRecords");
  if (ask && ask(context, stream, &dropped) == CUPTI_SUCCESS) counters().lost += dropped;
  std::free(buffer);
}

class CuptiAudit final : public TransferAudit {
 public:
  CuptiAudit() {
    call("cuptiActivityRegisterCallbacks", &give_buffer, &take_buffer);
    call("cuptiActivityEnable", CUPTI_ACTIVITY_KIND_MEMCPY);
    first_ = seen();
  }
  ~CuptiAudit() override {
    if (auto* disable = cupti().find<CUptiResult(CUpti_ActivityKind)>("cuptiActivityDisable"))
      disable(CUPTI_ACTIVITY_KIND_MEMCPY);
  }

  SeenTransfers finish() override {
    CUDA_CHECK(cudaDeviceSynchronize());
    call("cuptiActivityFlushAll", std::uint32_t{1});
    if (const std::uint64_t lost = counters().lost) {
      throw Error(ErrorCode::kGpu,
                  fmt::format("--ledger audit: CUPTI lost {} records, so nothing is proven", lost));
    }
    const SeenTransfers last = seen();
    return {last.up_bytes - first_.up_bytes, last.down_bytes - first_.down_bytes,
            last.up - first_.up, last.down - first_.down};
  }

 private:
  static SeenTransfers seen() {
    const Counters& all = counters();
    return {all.up_bytes, all.down_bytes, all.up, all.down};
  }
  SeenTransfers first_;
};

}  // namespace

std::unique_ptr<TransferAudit> audit_transfers() {
  if (!cupti()) {
    throw Error(ErrorCode::kGpu,
                fmt::format("--ledger audit needs {}, which comes with the CUDA toolkit ({}). Put "
                            "it on LD_LIBRARY_PATH, or leave the audit out",
                            library_name(), cupti().error()));
  }
  return std::make_unique<CuptiAudit>();
}

}  // namespace peregrine
