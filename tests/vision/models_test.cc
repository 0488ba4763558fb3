// SPDX-License-Identifier: Apache-2.0
// Real models on real frames against tests/vision/data, which tools/reference/make_expected.py made
// with ffmpeg, ONNX Runtime and NumPy.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/factory.h"
#include "testing/shared_data.h"
#include "vision/embedder.h"
#include "vision/predictor.h"

namespace peregrine::vision {
namespace {

using nlohmann::json;

constexpr int kWidth = 768, kHeight = 432;  // of both clips, which are BT.601 limited

json expected(const std::string& name) {
  std::ifstream file(std::string(PEREGRINE_SOURCE_DIR) + "/tests/vision/data/" + name);
  return json::parse(file);
}

/// One frame of a clip, decoded by the ffmpeg program; empty when there is none.
Frame decode_frame(const std::string& clip, int index) {
  const std::string command = "ffmpeg -v error -i '" + clip + "' -vf 'select=eq(n\\," +
                              std::to_string(index) +
                              ")' -frames:v 1 -f rawvideo -pix_fmt yuv420p -";
  constexpr std::size_t kLuma = kWidth * kHeight;
  auto pixels = std::make_shared<std::vector<std::uint8_t>>(kLuma * 3 / 2);
  std::FILE* pipe = popen(command.c_str(), "r");
  const std::size_t read = pipe ? std::fread(pixels->data(), 1, pixels->size(), pipe) : 0;
  if (pipe) pclose(pipe);
  Frame frame;
  if (read != pixels->size()) return frame;
  frame.info.index = index;
  frame.info.width = kWidth;
  frame.info.height = kHeight;
  frame.matrix = ColorMatrix::kBt601;
  frame.planes = {Plane{pixels->data(), kWidth}, Plane{pixels->data() + kLuma, kWidth / 2},
                  Plane{pixels->data() + kLuma * 5 / 4, kWidth / 2}};
  frame.storage = pixels;
  return frame;
}

struct LoadedModel {
  std::shared_ptr<const Engine> engine;
  TaskSpec spec;
};

LoadedModel load(const std::string& path, int max_batch) {
  engine::EngineOptions options;
  options.max_batch = max_batch;
  options.threads = 2;
  return {engine::make_engine(path, "cpu", options), identify_task(read_model_info(path), {})};
}

Box box_of(const json& value) { return {value[0], value[1], value[2], value[3]}; }

double mask_overlap(const Mask& mask, const json& runs) {
  const auto expand = [](const auto& counts) {
    std::vector<bool> pixels;
    bool value = false;
    for (const std::size_t run : counts) {
      pixels.insert(pixels.end(), run, value);
      value = !value;
    }
    return pixels;
  };
  const std::vector<bool> a = expand(mask.counts);
  const std::vector<bool> b = expand(runs.get<std::vector<std::size_t>>());
  if (a.size() != b.size()) return 0;
  double common = 0, either = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    common += a[i] && b[i];
    either += a[i] || b[i];
  }
  return common / either;
}

// Both sides resize unrounded RGB, so inputs agree to a tenth of a level and answers nearly do.
constexpr float kScore = 0.01f;
constexpr float kJoint = 1;
constexpr float kUnsure = 0.25f + kScore;  // may come and go at the confidence threshold

void expect_same_objects(const Detections& got, const json& wanted) {
  std::size_t used = 0;
  for (const json& object : wanted) {
    const float score = object["score"];
    int found = -1;
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (got.classes[i] == object["class"].get<int>() &&
          std::abs(got.scores[i] - score) < kScore &&
          iou(got.boxes[i], box_of(object["box"])) > 0.95f) {
        found = static_cast<int>(i);
      }
    }
    if (found < 0) {
      EXPECT_LT(score, kUnsure) << "missing: " << object.dump().substr(0, 200);
      continue;
    }
    ++used;
    const auto at = static_cast<std::size_t>(found);
    if (object.contains("keypoints")) {
      const auto points = got.keypoints_of(at);
      ASSERT_EQ(points.size(), object["keypoints"].size());
      for (std::size_t k = 0; k < points.size(); ++k) {
        const json& point = object["keypoints"][k];
        EXPECT_NEAR(points[k].score, point[2].get<float>(), kScore);
        if (points[k].score < 0.5f) continue;  // a guess
        EXPECT_NEAR(points[k].x, point[0].get<float>(), kJoint);
        EXPECT_NEAR(points[k].y, point[1].get<float>(), kJoint);
      }
    }
    if (object.contains("mask")) {
      EXPECT_EQ(got.masks[at].height, object["mask"]["size"][0].get<int>());
      EXPECT_EQ(got.masks[at].width, object["mask"]["size"][1].get<int>());
      EXPECT_GT(mask_overlap(got.masks[at], object["mask"]["counts"]), 0.97);
    }
  }
  std::size_t unsure = 0;
  for (const float score : got.scores) unsure += score < kUnsure;
  EXPECT_LE(got.size(), used + unsure) << "invented";
}

class Models : public ::testing::TestWithParam<const char*> {};

TEST_P(Models, FindWhatTheReferenceFinds) {
  PEREGRINE_SHARED_FILE(path, std::string("models/coco/") + GetParam() + ".onnx");
  const LoadedModel model = load(path, 2);
  const auto predictor = make_cpu_predictor(model.engine, model.spec, {});
  std::size_t objects = 0;
  for (const json& sample : expected(std::string(GetParam()) + ".json")) {
    PEREGRINE_SHARED_FILE(clip, "video/" + sample["video"].get<std::string>());
    const Frame frame = decode_frame(clip, sample["frame"]);
    if (frame.empty()) GTEST_SKIP() << "needs the ffmpeg program";
    predictor->submit(std::vector<Frame>{frame, frame});
    std::vector<FrameResult> results(2);
    predictor->collect(results);
    for (const FrameResult& result : results) {
      SCOPED_TRACE(sample["video"].get<std::string>() + " frame " + sample["frame"].dump());
      expect_same_objects(result.detections, sample["detections"]);
    }
    objects += sample["detections"].size();
  }
  EXPECT_GE(objects, 2u);
}
INSTANTIATE_TEST_SUITE_P(All, Models,
                         ::testing::Values("yolo11n", "yolo11n-pose", "yolov8n-seg-320"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(Models, EmbeddingsPointWhereTheReferenceDoes) {
  PEREGRINE_SHARED_FILE(path, "models/osnet_x0_25.onnx");
  const LoadedModel model = load(path, 3);
  ASSERT_EQ(model.spec.task, Task::kEmbed);
  const auto embedder = make_cpu_embedder(model.engine, model.spec);
  EXPECT_EQ(embedder->embedding_size(), 512);
  std::map<std::pair<std::string, int>, std::vector<json>> frames;
  for (const json& sample : expected("osnet_x0_25.json")) {
    frames[{sample["video"], sample["frame"]}].push_back(sample);
  }
  for (const auto& [key, samples] : frames) {
    PEREGRINE_SHARED_FILE(clip, "video/" + key.first);
    const Frame frame = decode_frame(clip, key.second);
    if (frame.empty()) GTEST_SKIP() << "needs the ffmpeg program";
    Detections detections;
    for (const json& sample : samples) {
      detections.boxes.push_back(box_of(sample["box"]));
      detections.scores.push_back(1);
      detections.classes.push_back(0);
    }
    embedder->embed(frame, detections);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const auto row = detections.embedding_of(i);
      double cosine = 0, length = 0;
      for (std::size_t k = 0; k < row.size(); ++k) {
        cosine += row[k] * samples[i]["embedding"][k].get<double>();
        length += static_cast<double>(row[k]) * row[k];
      }
      EXPECT_NEAR(length, 1, 1e-5);
      EXPECT_GT(cosine, 0.9999);
    }
  }
}

}  // namespace
}  // namespace peregrine::vision
