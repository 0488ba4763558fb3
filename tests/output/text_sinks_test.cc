// SPDX-License-Identifier: Apache-2.0
// JSONL, MOT and COCO: the bytes they write, and how they behave with several streams and bad
// disks.
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "output/sink.h"
#include "peregrine/error.h"
#include "video/clips.h"

namespace peregrine::output {
namespace {

using peregrine::testing::contents;
using peregrine::testing::TemporaryFolder;

using nlohmann::json;

StreamInfo stream_info(int stream, const std::string& source = "street.mp4") {
  return {.stream = stream, .source = source, .width = 1920, .height = 1080};
}

FrameResult frame_result(int stream, std::int64_t index) {
  FrameResult result;
  result.frame = {.stream = stream,
                  .index = index,
                  .pts = index,
                  .time_base = {1, 25},
                  .width = 1920,
                  .height = 1080};
  return result;
}

// The frame of design.md: one car.
FrameResult one_car(int stream = 0, std::int64_t index = 12) {
  FrameResult result = frame_result(stream, index);
  result.detections.boxes = {{10.5f, 20, 110.256f, 220.1f}};
  result.detections.scores = {0.91f};
  result.detections.classes = {2};
  return result;
}

const std::vector<std::string> kLabels = {"person", "bi\"cycle", "car"};

TEST(JsonlSink, WritesSchema1) {
  const TemporaryFolder folder;
  const auto sink = make_jsonl_sink(folder / "a.jsonl", kLabels);
  sink->open_stream(stream_info(0));
  sink->write(one_car(), {});
  EXPECT_EQ(contents(folder / "a.jsonl"),
            R"({"schema":1,"source":"street.mp4","stream":0,"frame":12,"pts":0.48,"width":1920,)"
            R"("height":1080,"detections":[{"class":2,"label":"car","score":0.91,)"
            R"("box":[10.5,20,110.26,220.1]}]})"
            "\n")
      << "under its final name, before it is finished";
  sink->finish();
  EXPECT_EQ(folder.names(), std::set<std::string>{"a.jsonl"});
  EXPECT_EQ(sink->paths(), std::vector<std::string>{folder / "a.jsonl"});
}

TEST(JsonlSink, WritesEveryFieldInOrder) {
  const TemporaryFolder folder;
  const auto sink = make_jsonl_sink(folder / "a.jsonl", kLabels);
  sink->open_stream(stream_info(0));
  FrameResult result = one_car();
  Detections& found = result.detections;
  found.oriented = {{60, 120, 100, 200.5f, -0.78543f}};
  found.tracks = {7};
  found.keypoints = {{1.25f, 2, 0.5f}, {3, 4.125f, 0}};
  found.keypoints_per_object = 2;
  found.masks = {{3, 2, {1, 2, 3}}};
  found.embeddings = {0.6f, -0.8f};
  found.embedding_size = 2;
  sink->write(result, {});
  EXPECT_EQ(contents(folder / "a.jsonl"),
            R"({"schema":1,"source":"street.mp4","stream":0,"frame":12,"pts":0.48,"width":1920,)"
            R"("height":1080,"detections":[{"class":2,"label":"car","score":0.91,)"
            R"("box":[10.5,20,110.26,220.1],"obb":[60,120,100,200.5,-0.7854],"track":7,)"
            R"("keypoints":[[1.25,2,0.5],[3,4.13,0]],"mask":{"size":[2,3],"counts":"123"},)"
            R"("embedding":[0.6,-0.8]}]})"
            "\n");
}

TEST(JsonlSink, LeavesOutWhatIsAbsent) {
  const TemporaryFolder folder;
  const auto sink = make_jsonl_sink(folder / "a.jsonl", kLabels);
  sink->open_stream(stream_info(0, "caf\xE9 \"1\".mp4"));
  sink->write(frame_result(0, 0), {});
  FrameResult untracked = one_car();
  untracked.detections.classes = {99};
  untracked.detections.tracks = {kNoTrack};
  untracked.detections.embeddings = {0, 0};
  untracked.detections.embedding_size = 2;
  sink->write(untracked, {});
  FrameResult classified = frame_result(0, 2);
  classified.classes = {{1, 0.75f}, {5, 0.125f}};
  sink->write(classified, {});
  FrameResult embedded = frame_result(0, 3);
  embedded.embedding = {1, 0};
  sink->write(embedded, {});

  std::istringstream lines(contents(folder / "a.jsonl"));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(json::parse(line)["source"], "caf\xEF\xBF\xBD \"1\".mp4");
  EXPECT_NE(line.find(R"("detections":[])"), std::string::npos) << "searched, and nothing there";
  std::getline(lines, line);
  const json object = json::parse(line)["detections"][0];
  EXPECT_EQ(object.size(), 3u) << object << " has class, score and box only";
  std::getline(lines, line);
  EXPECT_EQ(line.substr(line.find(R"("height")")),
            R"("height":1080,"classes":[{"class":1,"label":"bi\"cycle","score":0.75},)"
            R"({"class":5,"score":0.125}]})");
  std::getline(lines, line);
  EXPECT_EQ(line.substr(line.find(R"("height")")), R"("height":1080,"embedding":[1,0]})");
}

TEST(JsonlSink, GapsAreLinesOfTheirOwn) {
  const TemporaryFolder folder;
  const auto sink = make_jsonl_sink(folder / "a.jsonl", {});
  sink->open_stream(stream_info(1, "rtsp://camera/1"));
  sink->write_gap({1, 12.48, 19.5, "connection lost"});
  EXPECT_EQ(contents(folder / "a.jsonl"),
            R"({"schema":1,"source":"rtsp://camera/1","stream":1,)"
            R"("gap":{"from":12.48,"to":19.5,"reason":"connection lost"}})"
            "\n");
}

TEST(JsonlSink, StreamsOfSeveralThreadsDoNotMixTheirLines) {
  const TemporaryFolder folder;
  const auto sink = make_jsonl_sink(folder / "a.jsonl", kLabels);
  constexpr int kStreams = 4, kFrames = 500;
  std::vector<std::thread> threads;
  for (int stream = 0; stream < kStreams; ++stream) {
    threads.emplace_back([&, stream] {
      sink->open_stream(stream_info(stream, std::string(1, static_cast<char>('a' + stream))));
      for (int i = 0; i < kFrames; ++i) sink->write(one_car(stream, i), {});
      sink->close_stream(stream);
    });
  }
  for (std::thread& thread : threads) thread.join();
  sink->finish();
  std::istringstream lines(contents(folder / "a.jsonl"));
  std::vector<std::int64_t> next(kStreams, 0);
  for (std::string line; std::getline(lines, line);) {
    const json parsed = json::parse(line);
    const int stream = parsed["stream"];
    EXPECT_EQ(parsed["source"], std::string(1, static_cast<char>('a' + stream)));
    EXPECT_EQ(parsed["frame"], next[static_cast<std::size_t>(stream)]++);
  }
  EXPECT_EQ(next, (std::vector<std::int64_t>(kStreams, kFrames)));
}

TEST(MotSink, WritesTenColumnsOfTrackedObjects) {
  const TemporaryFolder folder;
  const auto sink = make_mot_sink(folder / "a.txt");
  sink->open_stream(stream_info(0));
  FrameResult result = one_car(0, 0);
  Detections& found = result.detections;
  found.boxes.push_back({1, 2, 3, 4});
  found.scores.push_back(0.5f);
  found.classes.push_back(0);
  found.tracks = {7, kNoTrack};
  sink->write(result, {});
  found.tracks.clear();
  result.frame.index = 4;
  sink->write(result, {});
  sink->write(frame_result(0, 5), {});
  EXPECT_FALSE(folder.names().contains("a.txt")) << "not before it is complete";
  sink->close_stream(0);
  sink->finish();
  EXPECT_EQ(contents(folder / "a.txt"),
            "1,7,10.5,20,99.76,200.1,0.91,-1,-1,-1\n"
            "5,-1,10.5,20,99.76,200.1,0.91,-1,-1,-1\n"
            "5,-1,1,2,2,2,0.5,-1,-1,-1\n");
  EXPECT_EQ(folder.names(), std::set<std::string>{"a.txt"});
}

TEST(MotSink, SeveralStreamsBecomeSeveralFiles) {
  const TemporaryFolder folder;
  const auto sink = make_mot_sink(folder / "a.txt");
  sink->open_stream(stream_info(0));
  sink->write(one_car(0, 0), {});
  sink->close_stream(0);
  sink->open_stream(stream_info(2));
  sink->write(one_car(2, 5), {});
  sink->finish();
  EXPECT_EQ(folder.names(), (std::set<std::string>{"a-0.txt", "a-2.txt"}));
  EXPECT_EQ(contents(folder / "a-2.txt"), "6,-1,10.5,20,99.76,200.1,0.91,-1,-1,-1\n");
  EXPECT_EQ(sink->paths(), (std::vector<std::string>{folder / "a-0.txt", folder / "a-2.txt"}));
}

TEST(MotSink, AFailureLeavesTheTemporaryAndTheOldFile) {
  const TemporaryFolder folder;
  std::ofstream(folder / "a.txt") << "of an earlier run";
  {
    const auto sink = make_mot_sink(folder / "a.txt");
    sink->open_stream(stream_info(0));
    sink->write(one_car(0, 0), {});
  }
  EXPECT_EQ(contents(folder / "a.txt"), "of an earlier run");
  EXPECT_EQ(folder.names().size(), 2u);
}

TEST(MotSink, AStreamThatCannotBeNamedDoesNotKeepTheOthersFromIt) {
  const TemporaryFolder folder;
  const auto sink = make_mot_sink(folder / "a.txt");
  sink->open_stream(stream_info(0));
  sink->open_stream(stream_info(1));
  std::filesystem::create_directories(folder / "a-0.txt");
  EXPECT_THROW(sink->finish(), Error);
  EXPECT_TRUE(std::filesystem::is_regular_file(folder / "a-1.txt"));
}

TEST(CocoSink, WritesResultsThatLoadResReads) {
  const TemporaryFolder folder;
  const auto sink = make_coco_sink(folder / "a.json", {1, 2, 3});
  sink->open_stream(stream_info(0));
  sink->open_stream(stream_info(3));
  sink->write(frame_result(0, 11), {});
  sink->write(one_car(), {});
  FrameResult result = one_car(3, 1);
  Detections& found = result.detections;
  found.classes = {42};
  found.keypoints = {{1.25f, 2, 0.5f}};
  found.keypoints_per_object = 1;
  found.masks = {{1, 44, {44}}};
  sink->write(result, {});
  EXPECT_FALSE(folder.names().contains("a.json"));
  sink->finish();
  EXPECT_EQ(contents(folder / "a.json"),
            "[\n"
            R"({"image_id":12,"category_id":3,"bbox":[10.5,20,99.756,200.1],"score":0.91},)"
            "\n"
            R"({"image_id":3000000001,"category_id":42,"bbox":[10.5,20,99.756,200.1],"score":0.91,)"
            R"("segmentation":{"size":[44,1],"counts":"\\1"},"keypoints":[1.25,2,0.5]})"
            "\n]\n");
  EXPECT_EQ(folder.names(), std::set<std::string>{"a.json"});
}

TEST(CocoSink, NothingFoundIsAnEmptyArray) {
  const TemporaryFolder folder;
  const auto sink = make_coco_sink(folder / "a.json");
  sink->open_stream(stream_info(0));
  sink->write(frame_result(0, 0), {});
  sink->finish();
  EXPECT_EQ(json::parse(contents(folder / "a.json")), json::array());
}

TEST(TextSinks, AFullDiskIsAnErrorThatNamesIt) {
  for (const auto make :
       {+[] { return make_jsonl_sink("/dev/full", {}); },
        +[] { return make_mot_sink("/dev/full"); }, +[] { return make_coco_sink("/dev/full"); }}) {
    const auto sink = make();
    sink->open_stream(stream_info(0));
    try {
      sink->write(one_car(), {});
      ADD_FAILURE() << "written to a full disk";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kOutput);
      EXPECT_NE(std::string(error.what()).find("'/dev/full': No space left on device"),
                std::string::npos)
          << error.what();
    }
  }
}

TEST(TextSinks, StreamsMustBeOpenedOnce) {
  const auto sink = make_jsonl_sink("/dev/null", {});
  EXPECT_THROW(sink->write(one_car(), {}), Error);
  sink->open_stream(stream_info(0));
  EXPECT_THROW(sink->open_stream(stream_info(0)), Error);
}

}  // namespace
}  // namespace peregrine::output
