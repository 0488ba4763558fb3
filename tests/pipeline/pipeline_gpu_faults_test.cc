// SPDX-License-Identifier: Apache-2.0
// Runs on the GPU that go wrong: each ends with its error, soon, and nothing is left behind.
#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>

#include "core/cuda/memory.h"
#include "engine/gpu_engine.h"
#include "pipeline/gpu_rig.h"
#include "pipeline/trap.h"
#include "video/clips.h"

namespace peregrine::testing {
namespace {

// A run's set-up and its first pictures: engine, predictor, a turned stream whose pictures are
// copies in pooled memory.
void set_up_and_predict(const std::string& path) {
  const GpuModel model = load_gpu_model();
  const auto predictor = vision::make_gpu_predictor(model.engine, model.task, decode_options());
  const auto source = open(path, on_gpu());
  for (int i = 0; i < 3; ++i) {
    const video::SourceEvent event = source->read();
    FrameResult result;
    predictor->submit({&std::get<Frame>(event), 1});
    predictor->collect({&result, 1});
  }
}

TEST(PipelineGpuFaults, OutOfMemoryAtEachAllocationIsAnErrorAndNoLeak) {
  PEREGRINE_GPU_PIPELINE(folder);
  const std::string path = folder + "h264-rotated.mp4";
  load_gpu_model();  // the plan is built
  cuda::trim_pool(0);
  const cuda::MemoryStats start = cuda::memory_stats(0);
  set_up_and_predict(path);
  const auto allocations =
      static_cast<int>(cuda::memory_stats(0).device_allocations - start.device_allocations);
  EXPECT_EQ(cuda::memory_stats(0).in_use, start.in_use);
  ASSERT_GE(allocations, 5);
  for (int nth = 1; nth <= allocations; ++nth) {
    SCOPED_TRACE(fmt::format("allocation {} of {}", nth, allocations));
    cuda::trim_pool(0);
    cuda::fail_allocation(nth);
    try {
      set_up_and_predict(path);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory) << error.what();
      EXPECT_NE(std::string(error.what()).find("injected"), std::string::npos) << error.what();
    }
    cuda::fail_allocation(0);
    EXPECT_EQ(cuda::memory_stats(0).in_use, start.in_use);
  }
  set_up_and_predict(path);  // the GPU is as good as new
}

TEST(PipelineGpuFaults, OutOfMemoryInAWorkerEndsTheRun) {
  PEREGRINE_GPU_PIPELINE(folder);
  gpu_model();
  for (const int nth : {1, 3, 6}) {
    SCOPED_TRACE(nth);
    GpuRig rig;
    for (int i = 0; i < 4; ++i) rig.paths.push_back(folder + "h264.mp4");
    cuda::trim_pool(0);
    const std::size_t in_use = cuda::memory_stats(0).in_use;
    cuda::fail_allocation(nth);
    const pipeline::RunSummary summary = rig.run();
    cuda::fail_allocation(0);
    ASSERT_TRUE(summary.fatal);
    EXPECT_EQ(summary.fatal->code(), ErrorCode::kOutOfMemory) << summary.fatal->what();
    EXPECT_EQ(rig.log.finished, 1);
    EXPECT_EQ(cuda::memory_stats(0).in_use, in_use);
  }
}

TEST(PipelineGpuFaults, ACorruptStreamAmong64LeavesTheOthersWhole) {
  PEREGRINE_GPU_PIPELINE(folder);
  const TemporaryFolder made;
  const std::string bytes = contents(folder + "h264-variable.mkv");
  write_file(made / "cut.mkv", bytes.substr(0, bytes.size() * 6 / 10));
  constexpr std::size_t kStreams = 64, kBad = 23;
  GpuRig rig;
  rig.options.queue_depth = 2;
  for (std::size_t i = 0; i < kStreams; ++i) {
    rig.paths.push_back(i == kBad    ? made / "cut.mkv"
                        : i % 2 == 0 ? folder + "h264-variable.mkv"
                                     : folder + "hevc.mp4");
  }
  const pipeline::RunSummary summary = rig.run();
  EXPECT_FALSE(summary.fatal) << summary.fatal->what();
  EXPECT_EQ(summary.exit_code(), 6);
  for (std::size_t i = 0; i < kStreams; ++i) {
    const pipeline::StreamSummary& stream = summary.streams[i];
    SCOPED_TRACE(fmt::format("stream {}", i));
    if (i == kBad) {
      ASSERT_TRUE(stream.error);
      EXPECT_EQ(stream.error->code(), ErrorCode::kInputCorrupt) << stream.error->what();
      EXPECT_GT(stream.frames, 0) << "what is whole of it is answered";
      EXPECT_LT(stream.frames, 12);
      continue;
    }
    EXPECT_FALSE(stream.error) << stream.error->what();
    EXPECT_EQ(stream.frames, 12);
    EXPECT_TRUE(stream.ended);
  }
}

// In a process of its own, since its context is lost. Exits with the run's code.
[[noreturn]] void run_into_a_trap(const std::string& folder) {
  ::alarm(60);  // a hang ends as a failure
  int code = 0;
  {
    GpuRig rig;
    for (int i = 0; i < 4; ++i) rig.paths.push_back(folder + "h264.mp4");
    rig.before_batch = [](int batch) {
      if (batch == 5) launch_trap();
    };
    auto pipeline = rig.make();
    const pipeline::RunSummary summary = pipeline->run();
    code = summary.exit_code();
    std::fprintf(stderr, "%s; sinks finished %d times; %s\n",
                 summary.fatal ? to_string(summary.fatal->code()) : "no failure", rig.log.finished,
                 summary.fatal ? summary.fatal->what() : "");
    pipeline.reset();  // nor may anything hang that lets go of what is lost
  }
  ::_exit(code);
}

TEST(PipelineGpuFaultsDeathTest, ALostContextEndsTheRunWithFinishedSinks) {
  PEREGRINE_GPU_PIPELINE(folder);
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a process that starts anew, without our CUDA
  EXPECT_EXIT(run_into_a_trap(folder), ::testing::ExitedWithCode(exit_code(ErrorCode::kGpu)),
              "gpu; sinks finished 1 times; CUDA: ");
}

}  // namespace
}  // namespace peregrine::testing
