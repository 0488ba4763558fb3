// SPDX-License-Identifier: Apache-2.0
#include "core/machine.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "testing/temporary_folder.h"

namespace peregrine {
namespace {

namespace fs = std::filesystem;

// A made-up root folder with procfs and cgroupfs files.
class MachineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    put("proc/cpuinfo", "processor\t: 0\nmodel name\t: Test CPU 9000\nflags\t\t: fpu avx2 fma\n");
    put("proc/meminfo", "MemTotal:       8388608 kB\nMemAvailable:    4194304 kB\n");
  }
  void put(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(root_ / path).parent_path());
    std::ofstream(root_ / path) << content;
  }
  HostResources probe() const { return probe_host(root_.path().string()); }

  const testing::TemporaryFolder root_;
};

TEST_F(MachineTest, ReadsProcessorAndMemory) {
  const HostResources host = probe();
  EXPECT_EQ(host.cpu_model, "Test CPU 9000");
  EXPECT_EQ(host.simd, (std::vector<std::string>{"avx2", "fma"}));
  EXPECT_EQ(host.memory_bytes, std::int64_t{8} << 30);
  EXPECT_EQ(host.memory_available_bytes, std::int64_t{4} << 30);
  EXPECT_EQ(host.quota_cores, 0);
  EXPECT_EQ(host.cores, host.affinity_cores);
}

TEST_F(MachineTest, ContainerLimitsOfCgroup2Count) {
  put("proc/self/cgroup", "0::/pod/app\n");
  put("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
  put("sys/fs/cgroup/pod/cpu.max", "50000 100000\n");  // an ancestor is the tighter one
  put("sys/fs/cgroup/pod/app/cpu.max", "max 100000\n");
  put("sys/fs/cgroup/pod/app/memory.max", "1073741824\n");
  put("sys/fs/cgroup/pod/app/memory.current", "268435456\n");
  const HostResources host = probe();
  EXPECT_EQ(host.quota_cores, 0.5);
  EXPECT_EQ(host.cores, 1);
  EXPECT_EQ(host.memory_bytes, std::int64_t{1} << 30);
  EXPECT_EQ(host.memory_available_bytes, std::int64_t{768} << 20);
}

TEST_F(MachineTest, ContainerLimitsOfCgroup1Count) {
  put("proc/self/cgroup", "4:memory:/not/mounted/here\n3:cpuacct,cpu:/\n");
  put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
  put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "2147483648\n");
  put("sys/fs/cgroup/memory/memory.usage_in_bytes", "3147483648\n");
  const HostResources host = probe();
  EXPECT_EQ(host.quota_cores, 1);
  EXPECT_EQ(host.cores, 1);
  EXPECT_EQ(host.memory_bytes, std::int64_t{2} << 30);
  EXPECT_EQ(host.memory_available_bytes, 0) << "over the limit is not below nothing";
}

TEST_F(MachineTest, NoLimitAndNoFilesAreNoLimit) {
  put("proc/self/cgroup", "0::/\n");
  put("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
  put("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(probe().memory_bytes, std::int64_t{8} << 30);
  const HostResources nothing = probe_host(root_ / "empty");
  EXPECT_EQ(nothing.cpu_model, "unknown");
  EXPECT_EQ(nothing.memory_bytes, 0);
  EXPECT_GE(nothing.cores, 1);
}

TEST(Machine, ThisOneAnswers) {
  const Machine machine = probe_machine();
  EXPECT_GE(machine.host.cores, 1);
  EXPECT_GT(machine.host.memory_bytes, 0);
  EXPECT_EQ(machine.gpu.gpus.empty(), !machine.gpu.problem.empty());
  EXPECT_EQ(usable_cores(), machine.host.cores);
}

TEST(Machine, FormatsBytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(std::int64_t{141} << 30), "141 GiB");
}

TEST(Gpu, ClocksAreZeroWhereThereIsNone) {
  const GpuClocks clocks = probe_gpu_clocks(1000);
  EXPECT_EQ(clocks.sm_mhz, 0);
  EXPECT_EQ(clocks.memory_mhz, 0);
  EXPECT_EQ(clocks.watts, 0);
}

}  // namespace
}  // namespace peregrine
