// SPDX-License-Identifier: Apache-2.0
#include "core/settings.h"

#include <fstream>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/profiles.h"
#include "core/settings_keys.h"
#include "testing/expect_error.h"
#include "testing/temporary_folder.h"
#include "track/tracker.h"

namespace peregrine {
namespace {

using testing::expect_error;

class SettingsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    inputs_.machine.host.cores = 16;
    inputs_.machine.host.memory_bytes = std::int64_t{64} << 30;
    inputs_.machine.gpu.problem = "no NVIDIA driver";
  }

  std::string write(const std::string& toml) {
    const std::string path = folder_ / "peregrine.toml";
    std::ofstream(path) << toml;
    inputs_.file = path;
    return path;
  }
  void environment(const std::string& name, const std::string& value) {
    inputs_.environment.emplace_back(name, value);
  }
  void flag(const std::string& key, const std::string& value) {
    inputs_.flags.push_back({key, value, {SettingLayer::kFlag, "--a-flag"}});
  }
  void expect_refused(const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kInvalidConfig, parts, [this] { resolve(inputs_); });
  }

  const testing::TemporaryFolder folder_;
  SettingsInputs inputs_;
};

TEST_F(SettingsTest, EachLayerIsStrongerThanTheOneBefore) {
  EXPECT_EQ(resolve(inputs_).inference.batch, 1);
  EXPECT_EQ(resolve(inputs_).origin("inference.batch").place, "profile cpu");
  EXPECT_EQ(resolve(inputs_).origin("inference.iou").place, "default");
  const std::string path = write("# comment\n[inference]\nbatch = 2\n");
  EXPECT_EQ(resolve(inputs_).inference.batch, 2);
  EXPECT_EQ(resolve(inputs_).origin("inference.batch").place, path + ":3");
  environment("PEREGRINE_INFERENCE_BATCH", "3");
  EXPECT_EQ(resolve(inputs_).inference.batch, 3);
  EXPECT_EQ(resolve(inputs_).origin("inference.batch").place, "PEREGRINE_INFERENCE_BATCH");
  flag("inference.batch", "4");
  EXPECT_EQ(resolve(inputs_).inference.batch, 4);
  flag("inference.batch", "auto");
  EXPECT_EQ(resolve(inputs_).inference.batch, 0) << "the last flag wins, and auto is 0";
  EXPECT_EQ(resolve(inputs_).origin("inference.batch").place, "--a-flag");
}

TEST_F(SettingsTest, AReidModelAsksForItsEmbeddings) {
  EXPECT_FALSE(resolve(inputs_).embeddings.enabled);
  flag("embeddings.model", "osnet.onnx");
  EXPECT_TRUE(resolve(inputs_).embeddings.enabled);
  EXPECT_EQ(resolve(inputs_).origin("embeddings.enabled").place, "--a-flag");
  flag("embeddings.enabled", "false");
  EXPECT_FALSE(resolve(inputs_).embeddings.enabled);
}

TEST_F(SettingsTest, ReadsEveryTypeFromToml) {
  write(
      "profile = \"cpu\"\ninference.classes = [0, 2]\ninference.confidence = 0.5\n"
      "inference.device = \"cuda:1\"\ninference.batch = \"auto\"\n[tracking]\nenabled = true\n");
  const Settings settings = resolve(inputs_);
  EXPECT_EQ(settings.inference.classes, (std::vector<int>{0, 2}));
  EXPECT_EQ(settings.inference.confidence, 0.5);
  EXPECT_EQ(settings.inference.device, "cuda:1");
  EXPECT_EQ(settings.inference.batch, 0);
  EXPECT_TRUE(settings.tracking.enabled);
}

TEST_F(SettingsTest, TheWholeRunsSwitchesHaveShortNamesAndNumbersMayCarryTheirUnit) {
  environment("PEREGRINE_STRICT_GPU", "1");
  flag("vram_limit", "8G");
  flag("inference.max_delay_ms", "2.5ms");
  const Settings settings = resolve(inputs_);
  EXPECT_TRUE(settings.strict_gpu);
  EXPECT_EQ(settings.vram_limit, 8);
  EXPECT_EQ(settings.inference.max_delay_ms, 2.5);
  flag("inference.max_delay_ms", "2.5s");
  expect_refused({"inference.max_delay_ms = '2.5s'", "0 to 10000"});
}

TEST_F(SettingsTest, AnUnknownKeyIsRefusedWithTheNearestName) {
  const std::string path = write("\n[inference]\nbacth = 2\n");
  expect_refused({path + ":3", "'inference.bacth'", "did you mean 'inference.batch'?"});
  write("confidence = 0.3\n");
  expect_refused({":1", "'confidence'", "did you mean 'inference.confidence'?"});
  write("[kitchen]\nsink_of_the_house = 1\n");
  expect_refused({"'kitchen.sink_of_the_house' ('peregrine config keys' lists all)"});
}

TEST_F(SettingsTest, AValueOutOfRangeIsRefusedWithTheRange) {
  const std::string path = write("[inference]\nbatch = 100000\n");
  expect_refused({path + ":2", "inference.batch = '100000'", "auto, or 1 to 256"});
  for (const char* bad : {"-1", "1.5", "many", "", " 4", "4 ", "99999999999999999999"}) {
    write(fmt::format("inference.batch = \"{}\"\n", bad));
    expect_refused({":1", "integer: auto, or 1 to 256"});
  }
  for (const char* bad : {"1.01", "-0.1", "nan", "inf", "\"\"", "true"}) {
    write(fmt::format("inference.confidence = {}\n", bad));
    expect_refused({"number: 0 to 1"});
  }
  for (const char* bad : {"gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1234", "cpu|cuda"}) {
    write(fmt::format("inference.device = \"{}\"\n", bad));
    expect_refused({"auto|cpu|cuda|cuda:N"});
  }
  write("inference.classes = [1, -2]\n");
  expect_refused({"list of integers"});
  write("tracking.enabled = \"maybe\"\n");
  expect_refused({"true or false"});
}

TEST_F(SettingsTest, ABrokenFileIsRefusedWithItsLine) {
  const std::string path = write("[inference]\nbatch = = 2\n");
  expect_refused({path + ":2", "not valid TOML"});
  write("inference.batch = 2020-01-01\n");
  expect_refused({":1", "date"});
  write("inference.classes = [[1]]\n");
  expect_refused({"cannot hold lists"});
  inputs_.file = folder_ / "absent.toml";
  expect_refused({"absent.toml' does not exist", "config init"});
}

TEST_F(SettingsTest, FindsTheFileInOrder) {
  const std::string first = folder_ / "first.toml";
  const std::string second = write("inference.batch = 7\n");
  inputs_.file.clear();
  inputs_.default_files = {first, second};
  EXPECT_EQ(resolve(inputs_).file, second);
  std::ofstream(first) << "inference.batch = 8\n";
  EXPECT_EQ(resolve(inputs_).inference.batch, 8);
  environment("PEREGRINE_CONFIG", second);
  EXPECT_EQ(resolve(inputs_).inference.batch, 7);
  inputs_.file = first;
  EXPECT_EQ(resolve(inputs_).inference.batch, 8);
}

TEST_F(SettingsTest, UnknownVariablesThatLookLikeSettingsAreRefused) {
  environment("PEREGRINE_SHARED", "/data");  // others' variables pass
  EXPECT_NO_THROW(resolve(inputs_));
  environment("PEREGRINE_INFERENCE_BACTH", "3");
  expect_refused({"PEREGRINE_INFERENCE_BACTH", "did you mean 'PEREGRINE_INFERENCE_BATCH'?"});
}

TEST_F(SettingsTest, ResolutionTablesApplyUnlessAStrongerLayerSpoke) {
  write(
      "inference.batch = 8\n[resolution.4k]\ninference.batch = 4\ninput.queue_depth = 3\n"
      "[resolution.8k.inference]\nbatch = 2\n");
  EXPECT_EQ(resolve(inputs_).for_resolution(1920, 1080).inference.batch, 8);
  EXPECT_EQ(resolve(inputs_).for_resolution(3840, 2160).inference.batch, 4);
  EXPECT_EQ(resolve(inputs_).for_resolution(2160, 3840).input.queue_depth, 3) << "upright";
  EXPECT_EQ(resolve(inputs_).for_resolution(7680, 4320).inference.batch, 2);
  EXPECT_NE(resolve(inputs_).for_resolution(3840, 2160).origin("inference.batch").place.find(":3"),
            std::string::npos);
  environment("PEREGRINE_RESOLUTION_8K_INFERENCE_BATCH", "1");
  EXPECT_EQ(resolve(inputs_).for_resolution(7680, 4320).inference.batch, 1);
  flag("inference.batch", "16");
  EXPECT_EQ(resolve(inputs_).for_resolution(3840, 2160).inference.batch, 16);
  write("[resolution.4k]\ntracking.match_iou = 0.5\n");
  expect_refused({"'tracking.match_iou' cannot depend on the resolution", "input.queue_depth"});
  write("[resolution.16k]\ninference.batch = 1\n");
  expect_refused({"unknown resolution '16k'", "1080p, 4k, 8k"});
  write("[resolution.4k]\ninference.batch = 0.5\n");
  expect_refused({":2", "auto, or 1 to 256"});
}

TEST(ResolutionClass, FollowsTheLongerSide) {
  EXPECT_EQ(resolution_class(1280, 720), "");
  EXPECT_EQ(resolution_class(1920, 1080), "1080p");
  EXPECT_EQ(resolution_class(2560, 1440), "1080p");
  EXPECT_EQ(resolution_class(3840, 2160), "4k");
  EXPECT_EQ(resolution_class(4096, 2160), "4k");
  EXPECT_EQ(resolution_class(4320, 7680), "8k");
}

TEST_F(SettingsTest, ModelsHaveSwitches) {
  write(
      "[tracking]\nenabled = true\n[[models]]\npath = \"yolo11n.onnx\"\ntracking = false\n"
      "[[models]]\nname = \"poses\"\npath = \"pose.onnx\"\ntask = \"pose\"\nenabled = false\n");
  Settings settings = resolve(inputs_);
  std::vector<ModelSettings> run = models_to_run(settings, {});
  ASSERT_EQ(run.size(), 1u);
  EXPECT_EQ(run[0].name, "yolo11n");
  EXPECT_EQ(run[0].path, folder_ / "yolo11n.onnx") << "beside the file that names it";
  EXPECT_EQ(run[0].task, "auto");
  EXPECT_FALSE(*run[0].tracking);
  EXPECT_FALSE(*run[0].embeddings);

  run = models_to_run(settings, {"poses", "elsewhere/other.onnx"});
  ASSERT_EQ(run.size(), 2u);
  EXPECT_EQ(run[0].task, "pose");
  EXPECT_TRUE(*run[0].tracking);
  EXPECT_EQ(run[1].name, "other");
  EXPECT_EQ(run[1].path, "elsewhere/other.onnx");

  environment("PEREGRINE_MODELS_POSES_ENABLED", "true");
  flag("models.yolo11n.enabled", "false");
  run = models_to_run(resolve(inputs_), {});
  ASSERT_EQ(run.size(), 1u);
  EXPECT_EQ(run[0].name, "poses");
  flag("models.poses.enabled", "false");
  expect_error(ErrorCode::kUsage, {"switched off", "yolo11n, poses"},
               [this] { models_to_run(resolve(inputs_), {}); });
  flag("models.nobody.enabled", "false");
  expect_refused({"no [[models]] table is named 'nobody'", "yolo11n, poses"});
}

TEST_F(SettingsTest, BadModelTablesAreRefused) {
  write("[[models]]\nname = \"x\"\n");
  expect_refused({":2", "needs a 'path'"});
  write("[[models]]\npath = \"a.onnx\"\ntraking = true\n");
  expect_refused({":3", "unknown key 'traking' of a model", "'tracking'"});
  write("[[models]]\npath = \"a.onnx\"\n[[models]]\npath = \"b/a.onnx\"\n");
  expect_refused({":4", "two models are named 'a'"});
  write("models = 3\n");
  expect_refused({":1", "[[models]] tables"});
  write("[[models]]\npath = \"a.onnx\"\ntask = \"juggle\"\n");
  expect_refused({":3", "auto|detect|segment"});
  inputs_.file.clear();
  expect_error(ErrorCode::kUsage, {"--model MODEL.onnx"},
               [this] { models_to_run(resolve(inputs_), {}); });
}

TEST_F(SettingsTest, ValuesThatContradictEachOtherAreRefused) {
  const std::string path = write("tracking.low_threshold = 0.9\n");
  expect_refused({path + ":1", "tracking.low_threshold = 0.9", "above tracking.high_threshold"});
  write("rtsp.backoff_min_seconds = 40\n");
  expect_refused({"above rtsp.backoff_max_seconds = 30 (default)"});
  write("input.start_seconds = 5\ninput.end_seconds = 4\n");
  expect_refused({"above input.end_seconds"});
}

TEST_F(SettingsTest, AutoChoosesByTheMachineAndSaysWhy) {
  Settings settings = resolve(inputs_);
  EXPECT_EQ(settings.profile_used, "cpu");
  EXPECT_EQ(settings.profile_reason, "16 cores, 64.0 GiB of memory, no GPU (no NVIDIA driver)");
  inputs_.machine.host.cores = 2;
  EXPECT_EQ(resolve(inputs_).profile_used, "cpu-small");
  inputs_.machine.gpu = {.gpus = {{.index = 0,
                                   .name = "NVIDIA H200",
                                   .memory_bytes = std::int64_t{141} << 30,
                                   .compute_major = 9,
                                   .compute_minor = 0}},
                         .driver_version = "580.1",
                         .cuda_version = 13000,
                         .problem = ""};
  settings = resolve(inputs_);
  EXPECT_EQ(settings.profile_used, "cpu-small");
  EXPECT_NE(settings.profile_reason.find("NVIDIA H200 with 141 GiB, which this build has no"),
            std::string::npos);
  inputs_.cuda_engine = true;
  settings = resolve(inputs_);
  EXPECT_EQ(settings.profile_used, "cuda");
  EXPECT_EQ(settings.inference.precision, "fp16");
  inputs_.machine.gpu.gpus[0].memory_bytes = std::int64_t{2} << 30;
  EXPECT_NE(resolve(inputs_).profile_reason.find("too little memory"), std::string::npos);
  flag("profile", "debug");
  settings = resolve(inputs_);
  EXPECT_EQ(settings.log.level, "debug");
  EXPECT_EQ(settings.profile_reason, "asked for by --a-flag");
}

TEST_F(SettingsTest, EveryProfileIsValid) {
  for (const Profile& profile : profiles()) {
    inputs_.flags.clear();
    flag("profile", profile.name);
    EXPECT_EQ(resolve(inputs_).profile_used, profile.name);
  }
}

TEST_F(SettingsTest, WhatIsSavedGivesTheSameAgain) {
  write(
      "profile = \"cuda\"\noutput.jsonl = \"tab\\tquote\\\"\"\ninference.classes = [3]\n"
      "[resolution.4k]\ninput.queue_depth = 2\n[[models]]\npath = \"a.onnx\"\nembeddings = true\n");
  flag("inference.batch", "32");
  const Settings before = resolve(inputs_);
  inputs_.flags.clear();
  write(to_toml(before, false));
  const Settings after = resolve(inputs_);
  EXPECT_EQ(to_toml(after, false), to_toml(before, false));
  for (const SettingKey& key : setting_keys()) {
    EXPECT_EQ(value_text(key, after), value_text(key, before)) << key.name;
  }
  EXPECT_EQ(after.output.jsonl, "tab\tquote\"");
  EXPECT_EQ(after.for_resolution(7680, 4320).inference.batch, 32) << "the flag beat the profile";
  EXPECT_EQ(after.for_resolution(3840, 2160).input.queue_depth, 2);
  EXPECT_EQ(models_to_run(after, {})[0].path, models_to_run(before, {})[0].path);
}

TEST_F(SettingsTest, TheTemplateIsValidAndChangesNothing) {
  const Settings before = resolve(inputs_);
  write(to_toml(Settings{}, true));
  const Settings after = resolve(inputs_);
  for (const SettingKey& key : setting_keys()) {
    EXPECT_EQ(value_text(key, after), value_text(key, before)) << key.name;
  }
}

TEST(SettingKeys, NamesFlagsAndDefaultsAreSound) {
  std::set<std::string> names, flags, variables;
  for (const SettingKey& key : setting_keys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_TRUE(variables.insert(environment_name(key.name)).second) << key.name;
    EXPECT_TRUE(!key.flag || flags.insert(key.flag).second) << key.flag;
    // A default outside its own range would be refused when saved and read again.
    Settings settings;
    EXPECT_NO_THROW(assign(key, {key.name, value_text(key, settings), {}}, settings)) << key.name;
  }
  EXPECT_EQ(environment_name("models.my-model.enabled"), "PEREGRINE_MODELS_MY_MODEL_ENABLED");
}

TEST(SettingKeys, TrackingDefaultsAreTheTrackers) {
  const track::ByteTrackOptions tracker;
  const TrackingSettings settings;
  EXPECT_FLOAT_EQ(settings.high_threshold, tracker.high_threshold);
  EXPECT_FLOAT_EQ(settings.low_threshold, tracker.low_threshold);
  EXPECT_FLOAT_EQ(settings.new_track_threshold, tracker.new_track_threshold);
  EXPECT_FLOAT_EQ(settings.confirm_threshold, tracker.confirm_threshold);
  EXPECT_FLOAT_EQ(settings.duplicate_iou, tracker.duplicate_iou);
  EXPECT_FLOAT_EQ(settings.match_iou, tracker.match_iou);
  EXPECT_FLOAT_EQ(settings.second_match_iou, tracker.second_match_iou);
  EXPECT_FLOAT_EQ(settings.unconfirmed_match_iou, tracker.unconfirmed_match_iou);
  EXPECT_FLOAT_EQ(settings.recovery_margin, tracker.recovery_margin);
  EXPECT_FLOAT_EQ(settings.recovery_iou, tracker.recovery_iou);
  EXPECT_FLOAT_EQ(settings.wide_margin, tracker.wide_margin);
  EXPECT_FLOAT_EQ(settings.wide_iou, tracker.wide_iou);
  EXPECT_EQ(settings.settle_crossings, tracker.settle_crossings);
  EXPECT_EQ(settings.lost_seconds, tracker.lost_seconds);
  EXPECT_EQ(settings.frame_rate, tracker.frame_rate);
  EXPECT_FLOAT_EQ(settings.appearance_threshold, tracker.appearance_threshold);
  EXPECT_EQ(settings.size_state, tracker.size_state);
  EXPECT_EQ(settings.fuse_score, tracker.fuse_score);
  EXPECT_EQ(settings.class_aware, tracker.class_aware);
}

}  // namespace
}  // namespace peregrine
