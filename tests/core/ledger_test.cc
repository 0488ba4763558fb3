// SPDX-License-Identifier: Apache-2.0
#include "core/ledger.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace peregrine {
namespace {

constinit TransferPoint first{Crossing::kUp, "ledger test", "pictures"};
constinit TransferPoint second{Crossing::kUp, "ledger test", "pictures"};
constinit TransferPoint down{Crossing::kDown, "ledger test", "results"};
constinit TransferPoint silent{Crossing::kDown, "ledger test", "never"};

TEST(Ledger, AddsUpPointsOfOneReasonAndLeavesSilentOnesOut) {
  const auto before = Ledger::snapshot();
  first.add(100);
  second.add(20);
  second.add(3);
  down.add(7);
  const auto added = Ledger::difference(before, Ledger::snapshot());
  ASSERT_EQ(added.size(), 2u);
  EXPECT_EQ(added[0].direction, Crossing::kUp);
  EXPECT_EQ(added[0].reason, "pictures");
  EXPECT_EQ(added[0].bytes, 123u);
  EXPECT_EQ(added[0].transfers, 3u);
  EXPECT_EQ(added[1].direction, Crossing::kDown);
  EXPECT_EQ(added[1].bytes, 7u);
  EXPECT_EQ(silent.reason(), std::string("never"));
}

TEST(Ledger, CountsFromManyThreads) {
  const auto before = Ledger::snapshot();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 10000; ++i) down.add(3);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto added = Ledger::difference(before, Ledger::snapshot());
  ASSERT_EQ(added.size(), 1u);
  EXPECT_EQ(added[0].bytes, 8u * 10000 * 3);
  EXPECT_EQ(added[0].transfers, 80000u);
}

}  // namespace
}  // namespace peregrine
