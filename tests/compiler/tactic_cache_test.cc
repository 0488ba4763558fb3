// SPDX-License-Identifier: Apache-2.0
// The caches of tactics and of plans built on the fly.
#include "compiler/tactic_cache.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>

#include "compiler/fake_plan.h"
#include "compiler/plan_cache.h"
#include "compiler/plan_file.h"
#include "core/cache_folder.h"
#include "testing/temporary_folder.h"

namespace peregrine::compiler {
namespace {

using testing::fake_identity;
using testing::fake_plan;

class CacheTest : public ::testing::Test {
 protected:
  CacheTest() { setenv("XDG_CACHE_HOME", (folder_ / "xdg").c_str(), 1); }
  ~CacheTest() override { unsetenv("XDG_CACHE_HOME"); }
  const testing::TemporaryFolder folder_;
  const std::string path_ = folder_ / "tactics.txt";
};

TEST(TacticKey, DependsOnWhatTimeDependsOn) {
  const Step step = fake_plan().programs[0].steps[0];
  const std::string key = tactic_key(step);
  const auto changed = [&](const std::function<void(Step&)>& change) {
    Step other = step;
    change(other);
    return tactic_key(other) != key;
  };
  EXPECT_FALSE(changed([](Step& s) { s.name = "elsewhere"; }));
  EXPECT_FALSE(changed([](Step& s) { s.origins.clear(); }));
  EXPECT_FALSE(changed([](Step& s) { s.tactic = "other"; }));
  EXPECT_FALSE(changed([](Step& s) { s.microseconds = 9; }));
  EXPECT_FALSE(changed([](Step& s) { s.inputs[1].offset += 512; }));
  EXPECT_FALSE(changed([](Step& s) { s.outputs[0].value = "z"; }));
  EXPECT_TRUE(changed([](Step& s) { s.inputs[1].offset += 2; })) << "alignment";
  EXPECT_TRUE(changed([](Step& s) { s.kernel = "conv_other"; }));
  EXPECT_TRUE(changed([](Step& s) { s.inputs[0].shape[2] = 16; }));
  EXPECT_TRUE(changed([](Step& s) { s.outputs[0].strides[1] = 2; }));
  EXPECT_TRUE(changed([](Step& s) { s.inputs[1].dtype = DType::kFloat32; }));
  EXPECT_TRUE(changed([](Step& s) { s.attributes.set("group", std::int64_t{8}); }));
  EXPECT_TRUE(changed([](Step& s) { s.attributes.set("scales", model::Floats{1, 3}); }));
  EXPECT_TRUE(changed([](Step& s) { s.epilogue.activation = model::Op::kRelu; }));
  EXPECT_TRUE(changed([](Step& s) { s.epilogue.residual = model::Epilogue::Residual::kNone; }));
}

TEST_F(CacheTest, KeepsWhatWasMeasured) {
  {
    TacticCache cache(path_, "H200");
    EXPECT_FALSE(cache.find("a"));
    cache.store("a", {"tile_64x64 split 4", 3.25});
    cache.store("none", {"", 0});
    EXPECT_EQ(cache.find("a")->tactic, "tile_64x64 split 4");
    cache.save();
  }
  const TacticCache again(path_, "H200");
  ASSERT_TRUE(again.find("a"));
  EXPECT_EQ(again.find("a")->tactic, "tile_64x64 split 4");
  EXPECT_EQ(again.find("a")->microseconds, 3.25);
  EXPECT_EQ(again.find("none")->tactic, "");
  EXPECT_FALSE(again.find("b"));
  EXPECT_FALSE(TacticCache(path_, "L4").find("a")) << "another machine";
}

TEST_F(CacheTest, PassesOverWhatIsBroken) {
  {
    TacticCache cache(path_, "m");
    cache.store("good", {"fast", 1});
    cache.save();
  }
  {
    std::ofstream file(path_, std::ios::app);
    file << "not a line\n"
         << std::string(32, 'a') << " nan fast\n"
         << std::string(32, 'a') << " 1.0\n"
         << std::string(32, 'Z') << " 1.0 x\n"
         << std::string(32, 'b') << " 1.0 bad\x01\n"
         << std::string(32, 'c') << " -1 x\n"
         << std::string(40, 'd');
  }
  TacticCache cache(path_, "m");
  EXPECT_EQ(cache.find("good")->tactic, "fast");
  cache.store("more", {"slow", 2});
  cache.save();
  std::ifstream file(path_);
  EXPECT_EQ(std::count(std::istreambuf_iterator<char>(file), {}, '\n'), 3)
      << "broken lines are gone";

  std::ofstream(path_) << "something else altogether";
  TacticCache anew(path_, "m");
  EXPECT_FALSE(anew.find("good"));
  anew.store("good", {"fast", 1});
  anew.save();
  EXPECT_TRUE(TacticCache(path_, "m").find("good"));
}

TEST_F(CacheTest, ProcessesAddToOneFile) {
  constexpr int kProcesses = 4, kEntries = 25;
  for (int p = 0; p < kProcesses; ++p) {
    if (fork() != 0) continue;
    for (int i = 0; i < kEntries; ++i) {
      TacticCache cache(path_, "m");
      cache.store(std::to_string(p * kEntries + i), {"t", 1});
      cache.save();
    }
    _exit(0);
  }
  for (int p = 0; p < kProcesses; ++p) {
    int status = 0;
    ASSERT_GT(wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  const TacticCache cache(path_, "m");
  for (int i = 0; i < kProcesses * kEntries; ++i) EXPECT_TRUE(cache.find(std::to_string(i))) << i;
}

TEST_F(CacheTest, WithoutAFolderNothingIsKept) {
  TacticCache cache("", "m");
  cache.store("a", {"t", 1});
  cache.save();
  EXPECT_TRUE(cache.find("a"));
}

TEST_F(CacheTest, FolderIsThisUsersAlone) {
  const std::string folder = cache_folder();
  EXPECT_EQ(folder, folder_ / "xdg/peregrine");
  struct stat status {};
  ASSERT_EQ(stat(folder.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  chmod(folder.c_str(), 0777);
  EXPECT_EQ(cache_folder(), "") << "anyone may write there: not to be trusted";
  setenv("XDG_CACHE_HOME", "relative/path", 1);
  EXPECT_EQ(cache_folder().find("relative"), std::string::npos);
}

TEST_F(CacheTest, PlanPathsFollowModelOptionsAndDevice) {
  const PlanIdentity identity = fake_identity();
  const std::string path = plan_cache_path(identity, {});
  EXPECT_TRUE(path.starts_with(cache_folder() + "/plans/")) << path;
  EXPECT_EQ(plan_cache_path(identity, {}), path);
  EXPECT_NE(plan_cache_path(identity, {.batches = {1, 8}}), path);
  EXPECT_NE(plan_cache_path(identity, {.height = 640, .width = 640}), path);
  EXPECT_NE(plan_cache_path(identity, {.half_pixels = true}), path);
  const auto other = [&](auto&& change) {
    PlanIdentity changed = identity;
    change(changed);
    return plan_cache_path(changed, {});
  };
  EXPECT_NE(other([](PlanIdentity& i) { i.model_sha256[0] = 'b'; }), path);
  EXPECT_NE(other([](PlanIdentity& i) { i.precision = "fp32"; }), path);
  EXPECT_NE(other([](PlanIdentity& i) { i.device_name = "NVIDIA L4"; }), path);
  EXPECT_EQ(other([](PlanIdentity& i) { i.driver_version = 1; }), path) << "replaced, not piled up";
}

TEST_F(CacheTest, PlansAreFoundOrTheReasonIsTold) {
  const PlanIdentity here = fake_identity();
  const std::string path = plan_cache_path(here, {});
  std::string reason = "left from before";
  EXPECT_FALSE(find_cached_plan(path, here, reason));
  EXPECT_EQ(reason, "");
  write_plan(fake_plan(), path);
  EXPECT_TRUE(find_cached_plan(path, here, reason));
  EXPECT_EQ(reason, "");
  PlanIdentity newer = here;
  newer.driver_version = 13020;
  EXPECT_FALSE(find_cached_plan(path, newer, reason));
  EXPECT_EQ(reason, "built with a driver for CUDA 13.0, this one is for 13.2");
  std::ofstream(path) << "rubbish";
  EXPECT_FALSE(find_cached_plan(path, here, reason));
  EXPECT_EQ(reason, "its file is damaged");
  EXPECT_FALSE(find_cached_plan("", here, reason));
}

}  // namespace
}  // namespace peregrine::compiler
