// SPDX-License-Identifier: Apache-2.0
// From NVDEC to answers: what crosses the bus, what is allocated, and that answers are right.
#include <algorithm>

#include <fmt/format.h>

#include "core/cuda/memory.h"
#include "core/transfer_audit.h"
#include "pipeline/gpu_rig.h"
#include "video/clips.h"

namespace peregrine::testing {
namespace {

// One picture at a time: the same program of the plan, whatever came before.
std::vector<FrameResult> predict_one_by_one(const Reading& reading) {
  const auto predictor =
      vision::make_gpu_predictor(gpu_model().engine, gpu_model().task, decode_options());
  std::vector<FrameResult> results(reading.frames.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    predictor->submit({&reading.frames[i], 1});
    predictor->collect({&results[i], 1});
  }
  return results;
}

bool has(const Detections& detections, int class_id, const Box& box) {
  for (std::size_t i = 0; i < detections.size(); ++i) {
    if (detections.classes[i] == class_id && iou(detections.boxes[i], box) > 0.6f) return true;
  }
  return false;
}

TEST(PipelineGpu, SurfacesAndUploadedPicturesGetTheSameAnswers) {
  PEREGRINE_GPU_PIPELINE(folder);
  for (const char* name : {"h264.mp4", "h264-camera.mp4", "h264-rotated.mp4", "h264-grows.h264",
                           "hevc.mp4", "vp9.webm"}) {
    SCOPED_TRACE(name);
    const auto gpu = predict_one_by_one(read_all(folder + name, on_gpu()));
    const auto cpu = predict_one_by_one(read_all(folder + name));
    ASSERT_EQ(gpu.size(), cpu.size());
    std::size_t objects = 0;
    for (std::size_t f = 0; f < gpu.size(); ++f) {
      SCOPED_TRACE(fmt::format("frame {}", f));
      EXPECT_EQ(gpu[f].frame.pts, cpu[f].frame.pts);
      const Detections &a = gpu[f].detections, &b = cpu[f].detections;
      ASSERT_EQ(a.classes, b.classes);
      objects += a.size();
      for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_NEAR(a.scores[i], b.scores[i], 1e-4) << i;
        EXPECT_NEAR(a.boxes[i].x1, b.boxes[i].x1, 1e-3) << i;
        EXPECT_NEAR(a.boxes[i].y1, b.boxes[i].y1, 1e-3) << i;
        EXPECT_NEAR(a.boxes[i].x2, b.boxes[i].x2, 1e-3) << i;
        EXPECT_NEAR(a.boxes[i].y2, b.boxes[i].y2, 1e-3) << i;
      }
    }
    EXPECT_GT(objects, 0U) << "nothing was compared";
  }
}

TEST(PipelineGpu, StreamsOfAnySizeShareBatchesAndComeBackInOrder) {
  PEREGRINE_GPU_PIPELINE(folder);
  GpuRig rig;
  for (const char* name : {"h264.mp4", "h264-camera.mp4", "h264-rotated.mp4", "h264-grows.h264",
                           "hevc.mp4", "hevc-10bit.mp4", "vp9.webm", "h264-interlaced.ts"}) {
    rig.paths.push_back(folder + name);
  }
  const pipeline::RunSummary summary = rig.run();
  EXPECT_FALSE(summary.fatal) << summary.fatal->what();
  EXPECT_EQ(rig.log.devices, std::set<std::string>{"cuda:0"});
  EXPECT_GT(rig.log.shared_batches, rig.log.batches / 4);
  EXPECT_EQ(rig.log.finished, 1);
  for (std::size_t s = 0; s < rig.paths.size(); ++s) {
    SCOPED_TRACE(rig.paths[s]);
    const Reading reading = read_all(rig.paths[s], on_gpu());
    const std::vector<FrameResult> alone = predict_one_by_one(reading);
    const std::vector<FrameResult>& results = rig.log.results[static_cast<int>(s)];
    ASSERT_EQ(results.size(), alone.size());
    for (std::size_t f = 0; f < alone.size(); ++f) {
      EXPECT_EQ(results[f].frame.index, static_cast<std::int64_t>(f));
      EXPECT_EQ(results[f].frame.pts, alone[f].frame.pts);
      EXPECT_EQ(results[f].frame.width, alone[f].frame.width);
      EXPECT_EQ(results[f].frame.height, alone[f].frame.height);
      // Other batches run other programs: what is certain is found again, where it was.
      const Detections& expected = alone[f].detections;
      for (std::size_t i = 0; i < expected.size() && expected.scores[i] > 0.4f; ++i) {
        EXPECT_TRUE(has(results[f].detections, expected.classes[i], expected.boxes[i]))
            << "frame " << f << " lacks class " << expected.classes[i];
      }
    }
  }
}

TEST(PipelineGpu, NoPictureCrossesTheBusAndTheDriverAgrees) {
  PEREGRINE_GPU_PIPELINE(folder);
  gpu_model();
  GpuRig rig;
  for (const char* name : {"h264.mp4", "hevc-10bit.mp4", "vp9.webm", "h264-rotated.mp4"})
    rig.paths.push_back(folder + name);
  std::unique_ptr<TransferAudit> audit;
  try {
    audit = audit_transfers();
  } catch (const Error& missing) {
    std::printf("the ledger is not audited: %s\n", missing.what());
  }
  const pipeline::RunSummary summary = rig.run();
  ASSERT_FALSE(summary.fatal) << summary.fatal->what();
  ASSERT_GT(summary.frames, 0);
  std::uint64_t up = 0, down = 0, files = 0;
  for (const LedgerEntry& each : summary.transfers) {
    const std::string row = fmt::format("{} {}: {} bytes", each.stage, each.reason, each.bytes);
    if (each.direction == Crossing::kUp) {
      EXPECT_EQ(each.stage, "decode") << row;
      EXPECT_EQ(each.reason, "compressed stream") << row;
      up += each.bytes;
    } else {
      EXPECT_EQ(each.stage, "postprocess") << row;
      EXPECT_EQ(each.reason, "results") << row;
      down += each.bytes;
    }
  }
  for (const std::string& path : rig.paths) files += std::filesystem::file_size(path);
  EXPECT_GT(up, 0U);
  EXPECT_LE(up, files);
  EXPECT_GT(down, 0U);
  EXPECT_LE(down, static_cast<std::uint64_t>(summary.frames) * 64 * 1024);
  if (!audit) return;
  const SeenTransfers seen = audit->finish();
  EXPECT_EQ(seen.up_bytes, 0U) << "the compressed stream goes up inside the driver";
  EXPECT_EQ(seen.down_bytes, down);
}

TEST(PipelineGpu, UploadedPicturesShowInTheLedger) {
  PEREGRINE_GPU_PIPELINE(folder);
  GpuRig rig;
  rig.decode_on_gpu = false;
  rig.paths = {folder + "h264.mp4"};
  const pipeline::RunSummary summary = rig.run();
  std::uint64_t pictures = 0;
  for (const LedgerEntry& each : summary.transfers) {
    if (each.reason == "pictures decoded on the CPU") pictures += each.bytes;
  }
  EXPECT_EQ(pictures, static_cast<std::uint64_t>(summary.frames) * (322 * 182 + 2 * 161 * 91));
}

TEST(PipelineGpu, NothingIsAllocatedOnceItIsWarm) {
  PEREGRINE_GPU_PIPELINE(folder);
  const TemporaryFolder made;
  // The size changes again and again, and with it the decoder.
  const std::string once = contents(folder + "h264-grows.h264");
  std::string often;
  for (int i = 0; i < 8; ++i) often += once;
  write_file(made / "long.h264", often);
  GpuRig rig;
  for (int i = 0; i < 8; ++i) rig.paths.push_back(made / "long.h264");
  const pipeline::RunSummary summary = rig.run();
  EXPECT_FALSE(summary.fatal) << summary.fatal->what();
  EXPECT_EQ(summary.frames, 8 * 8 * 12);
  ASSERT_FALSE(rig.log.allocations.empty());
  EXPECT_EQ(rig.log.allocations[rig.log.allocations.size() / 2], rig.log.allocations.back());
}

}  // namespace
}  // namespace peregrine::testing
