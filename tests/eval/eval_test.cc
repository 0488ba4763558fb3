// SPDX-License-Identifier: Apache-2.0
// The measures equal pycocotools and TrackEval on the same files; tools/eval/make_expectations.py
// made the files and asked those two.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "eval/report.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"

namespace peregrine::eval {
namespace {

using nlohmann::json;

std::string data(const std::string& name) {
  return PEREGRINE_SOURCE_DIR "/tests/eval/data/" + name;
}

json expected() { return json::parse(std::ifstream(data("expected.json"))); }

Report measured(std::vector<int> classes = {}) {
  return evaluate(read_recording(data("result.jsonl")), read_recording(data("truth.jsonl")),
                  {.classes = std::move(classes), .partial = false});
}

void expect_precision(const PrecisionReport& have, const json& want) {
  EXPECT_NEAR(have.map50(), want["map50"].get<double>(), 1e-6);
  EXPECT_NEAR(have.map75(), want["map75"].get<double>(), 1e-6);
  EXPECT_NEAR(have.map(), want["map"].get<double>(), 1e-6);
  ASSERT_EQ(have.classes.size(), want["classes"].size());
  for (const auto& [id, precision] : have.classes) {
    const auto& values = want["classes"][std::to_string(id)];
    for (std::size_t t = 0; t < precision.average.size(); ++t) {
      EXPECT_NEAR(precision.average[t], values[t].get<double>(), 1e-6)
          << "class " << id << " threshold " << t;
    }
  }
}

TEST(Eval, BoxesMasksAndKeypointsEqualPycocotools) {
  const Report report = measured();
  const json want = expected();
  expect_precision(report.boxes, want["boxes"]);
  ASSERT_TRUE(report.masks && report.keypoints);
  expect_precision(*report.masks, want["masks"]);
  expect_precision(*report.keypoints, want["keypoints"]);
}

TEST(Eval, TracksEqualTrackEval) {
  const Report report = measured({0});
  const json want = expected()["tracking_of_people"];
  ASSERT_TRUE(report.tracking);
  const TrackingReport& t = *report.tracking;
  EXPECT_NEAR(t.hota, want["hota"].get<double>(), 1e-6);
  EXPECT_NEAR(t.detection_accuracy, want["deta"].get<double>(), 1e-6);
  EXPECT_NEAR(t.association_accuracy, want["assa"].get<double>(), 1e-6);
  EXPECT_NEAR(t.localisation_accuracy, want["loca"].get<double>(), 1e-6);
  EXPECT_NEAR(t.mota, want["mota"].get<double>(), 1e-6);
  EXPECT_NEAR(t.motp, want["motp"].get<double>(), 1e-6);
  EXPECT_NEAR(t.idf1, want["idf1"].get<double>(), 1e-6);
  EXPECT_NEAR(t.id_precision, want["idp"].get<double>(), 1e-6);
  EXPECT_NEAR(t.id_recall, want["idr"].get<double>(), 1e-6);
  EXPECT_EQ(t.switches, want["switches"].get<std::int64_t>());
  EXPECT_EQ(t.missed, want["missed"].get<std::int64_t>());
  EXPECT_EQ(t.invented, want["invented"].get<std::int64_t>());
}

TEST(Eval, TruthAgainstItselfIsPerfect) {
  const Recording truth = read_recording(data("truth.jsonl"));
  const Report report = evaluate(truth, truth, {});
  EXPECT_DOUBLE_EQ(report.boxes.map(), 1);
  EXPECT_DOUBLE_EQ(report.masks->map(), 1);
  EXPECT_DOUBLE_EQ(report.tracking->mota, 1);
  EXPECT_DOUBLE_EQ(report.tracking->idf1, 1);
  EXPECT_NEAR(report.tracking->hota, 1, 1e-12);
}

FrameRecord sighting(std::int64_t index, std::int64_t track, std::vector<float> embedding) {
  FrameRecord frame;
  frame.index = index;
  frame.seconds = static_cast<double>(index);
  frame.width = frame.height = 100;
  Object object;
  object.box = {10, 10, 50, 90};
  object.track = track;
  object.embedding = std::move(embedding);
  frame.objects.push_back(object);
  return frame;
}

TEST(Eval, Rank1CountsNearestNeighbours) {
  // Identity 1 twice alike; identity 2 once by itself and once so that it is taken for identity 1.
  Recording recording;
  recording.frames = {sighting(0, 1, {1, 0}), sighting(2, 1, {1, 0.1f}), sighting(4, 2, {0, 1}),
                      sighting(6, 2, {0.9f, 0.44f})};
  const ReidReport report = measure_reid(pair_frames(recording, recording, false), {});
  EXPECT_EQ(report.queries, 4);
  EXPECT_EQ(report.identities, 2);
  EXPECT_DOUBLE_EQ(report.rank1, 0.75);
}

TEST(Eval, RecordingsOfOtherVideosAreErrors) {
  Recording truth, result;
  truth.path = "truth.jsonl", result.path = "result.jsonl";
  truth.frames = {sighting(0, 1, {}), sighting(1, 1, {})};
  result.frames = {sighting(0, 1, {}), sighting(2, 1, {})};
  testing::expect_error(ErrorCode::kUsage,
                        {"result.jsonl", "frames that the truth 'truth.jsonl' lacks", "frame 2"},
                        [&] { pair_frames(result, truth, false); });
  result.frames.pop_back();
  testing::expect_error(ErrorCode::kUsage, {"lacks 1 frames", "frame 1", "--partial"},
                        [&] { pair_frames(result, truth, false); });
  EXPECT_EQ(pair_frames(result, truth, true).size(), 1u);
  result.frames[0].width = 50;
  testing::expect_error(ErrorCode::kUsage, {"50x100", "100x100"},
                        [&] { pair_frames(result, truth, true); });
}

TEST(Eval, BrokenFilesNameTheLine) {
  testing::expect_error(ErrorCode::kInputNotFound, {"/nowhere.jsonl"},
                        [] { read_recording("/nowhere.jsonl"); });
  const testing::TemporaryFolder folder;
  const std::string path = folder / "broken.jsonl";
  std::ofstream(path) << "{\"frame\":0,\"width\":4,\"height\":4,\"detections\":[]}\n{\"frame\":\n";
  testing::expect_error(ErrorCode::kInputCorrupt, {"broken.jsonl", "line 2"},
                        [&] { read_recording(path); });
  testing::expect_error(ErrorCode::kInputCorrupt, {"4 x 4"}, [] { decode_coco_rle("1", 4, 4); });
}

}  // namespace
}  // namespace peregrine::eval
