// SPDX-License-Identifier: Apache-2.0
// Copies between host and GPU, what the ledger has of them, and what the driver saw.
#include "core/cuda/copy.h"
#include "core/transfer_audit.h"
#include "engine/cuda/gpu.h"
#include "peregrine/error.h"

namespace peregrine::cuda {
namespace {

constinit TransferPoint kUp{Crossing::kUp, "test", "up"};
constinit TransferPoint kUpPitched{Crossing::kUp, "test", "pitched up"};
constinit TransferPoint kDown{Crossing::kDown, "test", "down"};
constinit TransferPoint kDownPitched{Crossing::kDown, "test", "pitched down"};

constexpr std::size_t kWidth = 300, kRows = 40, kDevicePitch = 512, kHostPitch = 320;

std::vector<std::uint8_t> ramp(std::size_t count) {
  std::vector<std::uint8_t> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 251);
  return bytes;
}

const LedgerEntry* row(const std::vector<LedgerEntry>& ledger, const std::string& reason) {
  for (const LedgerEntry& each : ledger) {
    if (each.stage == "test" && each.reason == reason) return &each;
  }
  return nullptr;
}

std::uint64_t bytes(const std::vector<LedgerEntry>& ledger, Crossing direction) {
  std::uint64_t sum = 0;
  for (const LedgerEntry& each : ledger) sum += each.direction == direction ? each.bytes : 0;
  return sum;
}

TEST(GpuCopies, BytesArriveAndAreCounted) {
  PEREGRINE_NEEDS_GPU();
  const std::vector<std::uint8_t> sent = ramp(100'001);
  std::vector<std::uint8_t> received(sent.size());
  const DeviceBuffer device(sent.size());
  const Stream stream = make_stream();
  const std::vector<LedgerEntry> before = Ledger::snapshot();
  for (int i = 0; i < 3; ++i) copy_up(kUp, device.data(), sent.data(), sent.size(), stream.get());
  copy_up(kUp, device.data(), sent.data(), 0, stream.get());
  copy_down(kDown, received.data(), device.data(), received.size(), stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  EXPECT_EQ(received, sent);

  const std::vector<LedgerEntry> ledger = Ledger::difference(before, Ledger::snapshot());
  ASSERT_NE(row(ledger, "up"), nullptr);
  EXPECT_EQ(row(ledger, "up")->bytes, 3 * sent.size());
  EXPECT_EQ(row(ledger, "up")->transfers, 3U) << "an empty copy is none";
  EXPECT_EQ(row(ledger, "up")->direction, Crossing::kUp);
  EXPECT_EQ(row(ledger, "down")->bytes, sent.size());
  EXPECT_EQ(row(ledger, "down")->transfers, 1U);
}

TEST(GpuCopies, PitchedRowsCountWithoutTheirGaps) {
  PEREGRINE_NEEDS_GPU();
  const std::vector<std::uint8_t> sent = ramp(kHostPitch * kRows);
  const DeviceBuffer device(kDevicePitch * kRows);
  testing::poison(device);
  std::vector<std::uint8_t> received(kHostPitch * kRows, 3);
  const Stream stream = make_stream();
  const std::vector<LedgerEntry> before = Ledger::snapshot();
  copy_up_2d(kUpPitched, device.data(), kDevicePitch, sent.data(), kHostPitch, kWidth, kRows,
             stream.get());
  copy_down_2d(kDownPitched, received.data(), kHostPitch, device.data(), kDevicePitch, kWidth,
               kRows, stream.get());
  copy_up_2d(kUpPitched, device.data(), kDevicePitch, sent.data(), kHostPitch, kWidth, 0,
             stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  for (std::size_t y = 0; y < kRows; ++y) {
    for (std::size_t x = 0; x < kHostPitch; ++x) {
      const std::size_t at = y * kHostPitch + x;
      ASSERT_EQ(received[at], x < kWidth ? sent[at] : 3) << x << ", " << y;
    }
  }
  const std::vector<LedgerEntry> ledger = Ledger::difference(before, Ledger::snapshot());
  EXPECT_EQ(row(ledger, "pitched up")->bytes, kWidth * kRows);
  EXPECT_EQ(row(ledger, "pitched up")->transfers, 1U);
  EXPECT_EQ(row(ledger, "pitched down")->bytes, kWidth * kRows);
}

TEST(TransferAudit, SeesWhatTheLedgerSaysAndWhatItDoesNot) {
  PEREGRINE_NEEDS_GPU();
  std::unique_ptr<TransferAudit> audit;
  try {
    audit = audit_transfers();
  } catch (const Error& missing) {
    GTEST_SKIP() << missing.what();
  }
  const Stream stream = make_stream();
  constexpr std::size_t kBytes = 3'000'000;
  const DeviceBuffer device(kBytes);
  const PinnedBuffer pinned(kBytes);
  std::vector<std::uint8_t> pageable(kBytes);
  const std::vector<LedgerEntry> before = Ledger::snapshot();
  for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{70'000}, kBytes}) {
    copy_up(kUp, device.data(), pinned.data(), size, stream.get());
    copy_up(kUp, device.data(), pageable.data(), size, stream.get());
    copy_down(kDown, pinned.data(), device.data(), size, stream.get());
    copy_down(kDown, pageable.data(), device.data(), size, stream.get());
  }
  copy_up_2d(kUpPitched, device.data(), kDevicePitch, pinned.data(), kHostPitch, kWidth, kRows,
             stream.get());
  copy_up_2d(kUpPitched, device.data(), kDevicePitch, pageable.data(), kHostPitch, kWidth, kRows,
             stream.get());
  copy_down_2d(kDownPitched, pinned.data(), kHostPitch, device.data(), kDevicePitch, kWidth, kRows,
               stream.get());
  // Neither is a crossing.
  CUDA_CHECK(cudaMemcpyAsync(device.as<std::uint8_t>() + kBytes / 2, device.data(), 1000,
                             cudaMemcpyDeviceToDevice, stream.get()));
  CUDA_CHECK(cudaMemsetAsync(device.data(), 0, kBytes, stream.get()));
  const SeenTransfers seen = audit->finish();
  const std::vector<LedgerEntry> ledger = Ledger::difference(before, Ledger::snapshot());
  EXPECT_EQ(seen.up_bytes, bytes(ledger, Crossing::kUp));
  EXPECT_EQ(seen.down_bytes, bytes(ledger, Crossing::kDown));
  EXPECT_GE(seen.up, 10U);
  EXPECT_GE(seen.down, 9U);

  CUDA_CHECK(
      cudaMemcpyAsync(device.data(), pinned.data(), 1234, cudaMemcpyHostToDevice, stream.get()));
  EXPECT_EQ(audit->finish().up_bytes, seen.up_bytes + 1234) << "a copy past the ledger shows";
}

}  // namespace
}  // namespace peregrine::cuda
