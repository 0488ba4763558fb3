// SPDX-License-Identifier: Apache-2.0
#include "eval/records.h"

#include <fmt/format.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "peregrine/error.h"

namespace peregrine::eval {
namespace {

using nlohmann::json;

Object read_object(const json& entry) {
  Object object;
  object.class_id = entry.at("class").get<int>();
  object.score = entry.value("score", 1.0f);
  const auto box = entry.at("box").get<std::array<float, 4>>();
  object.box = {box[0], box[1], box[2], box[3]};
  object.track = entry.value("track", kNoTrack);
  object.ignore = entry.value("ignore", false);
  if (const auto points = entry.find("keypoints"); points != entry.end()) {
    for (const auto& p : *points) {
      object.keypoints.push_back(
          {p.at(0).get<float>(), p.at(1).get<float>(), p.at(2).get<float>()});
    }
  }
  if (const auto mask = entry.find("mask"); mask != entry.end()) {
    const auto size = mask->at("size").get<std::array<int, 2>>();
    object.mask = decode_coco_rle(mask->at("counts").get<std::string>(), size[1], size[0]);
  }
  if (const auto values = entry.find("embedding"); values != entry.end()) {
    object.embedding = values->get<std::vector<float>>();
  }
  return object;
}

FrameRecord read_frame(const json& line, std::vector<std::string>& labels) {
  FrameRecord frame;
  frame.stream = line.value("stream", 0);
  frame.index = line.at("frame").get<std::int64_t>();
  frame.seconds = line.value("pts", 0.0);
  frame.width = line.at("width").get<int>();
  frame.height = line.at("height").get<int>();
  for (const auto& entry : line.at("detections")) {
    frame.objects.push_back(read_object(entry));
    const int id = frame.objects.back().class_id;
    if (id < 0 || id > 100000) throw Error(ErrorCode::kInputCorrupt, "a class id out of range");
    if (static_cast<std::size_t>(id) >= labels.size())
      labels.resize(static_cast<std::size_t>(id) + 1);
    labels[static_cast<std::size_t>(id)] = entry.value("label", "");
  }
  return frame;
}

using FrameKey = std::pair<int, std::int64_t>;

}  // namespace

double Object::area() const {
  if (mask.counts.empty()) return static_cast<double>(box.width()) * box.height();
  double inside = 0;
  for (std::size_t i = 1; i < mask.counts.size(); i += 2) inside += mask.counts[i];
  return inside;
}

Mask decode_coco_rle(const std::string& text, int width, int height) {
  const auto corrupt = [&] {
    return Error(
        ErrorCode::kInputCorrupt,
        fmt::format("a mask's run lengths do not cover its {} x {} pixels", width, height));
  };
  Mask mask;
  mask.width = width;
  mask.height = height;
  std::int64_t covered = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::int64_t value = 0;
    int shift = 0;
    for (bool more = true; more; shift += 5) {
      if (at == text.size() || shift > 30) throw corrupt();
      const int bits = text[at++] - 48;
      if (bits < 0 || bits > 63) throw corrupt();
      value |= static_cast<std::int64_t>(bits & 0x1f) << shift;
      more = (bits & 0x20) != 0;
      if (!more && (bits & 0x10) != 0) value |= -(std::int64_t{1} << (shift + 5));
    }
    if (mask.counts.size() > 2) value += mask.counts[mask.counts.size() - 2];
    covered += value;
    if (value < 0 || covered > static_cast<std::int64_t>(width) * height) throw corrupt();
    mask.counts.push_back(static_cast<std::uint32_t>(value));
  }
  if (covered != static_cast<std::int64_t>(width) * height) throw corrupt();
  return mask;
}

Recording read_recording(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(ErrorCode::kInputNotFound, fmt::format("'{}' cannot be read", path));
  Recording recording;
  recording.path = path;
  std::string text;
  for (int number = 1; std::getline(file, text); ++number) {
    if (text.empty()) continue;
    try {
      const json line = json::parse(text);
      if (!line.contains("frame")) continue;
      if (line.value("schema", 1) != 1) {
        throw Error(ErrorCode::kInputCorrupt,
                    "schema is not 1; this program is too old for the file");
      }
      recording.frames.push_back(read_frame(line, recording.labels));
    } catch (const json::exception& error) {
      throw Error(ErrorCode::kInputCorrupt,
                  fmt::format("'{}' line {} is no output line of schema 1: {}", path, number,
                              error.what()));
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("'{}' line {}: {}", path, number, error.what()));
    }
  }
  if (recording.frames.empty()) {
    throw Error(ErrorCode::kInputCorrupt, fmt::format("'{}' holds no frames", path));
  }
  return recording;
}

std::vector<FramePair> pair_frames(const Recording& result, const Recording& truth, bool partial) {
  std::map<FrameKey, const FrameRecord*> found;
  for (const FrameRecord& frame : result.frames) {
    if (!found.emplace(FrameKey{frame.stream, frame.index}, &frame).second) {
      throw Error(ErrorCode::kUsage, fmt::format("'{}' has frame {} of stream {} twice",
                                                 result.path, frame.index, frame.stream));
    }
  }
  std::vector<FramePair> pairs;
  const FrameRecord* missing = nullptr;
  std::size_t missing_count = 0;
  for (const FrameRecord& frame : truth.frames) {
    const auto match = found.find({frame.stream, frame.index});
    if (match == found.end()) {
      if (missing_count++ == 0) missing = &frame;
      continue;
    }
    const FrameRecord& other = *match->second;
    if (other.width != frame.width || other.height != frame.height) {
      throw Error(ErrorCode::kUsage,
                  fmt::format("frame {} is {}x{} in '{}' but {}x{} in the truth '{}': they are not "
                              "of the same video",
                              frame.index, other.width, other.height, result.path, frame.width,
                              frame.height, truth.path));
    }
    pairs.push_back({&other, &frame});
    found.erase(match);
  }
  if (!found.empty()) {
    const FrameRecord& extra = *found.begin()->second;
    throw Error(
        ErrorCode::kUsage,
        fmt::format(
            "'{}' has {} frames that the truth '{}' lacks, the first is frame {} of stream {}: "
            "they are not of the same video",
            result.path, found.size(), truth.path, extra.index, extra.stream));
  }
  if (missing != nullptr && !partial) {
    throw Error(ErrorCode::kUsage, fmt::format("'{}' lacks {} frames of the truth '{}', the first "
                                               "is frame {} of stream {}. For a run that "
                                               "left frames out, say --partial",
                                               result.path, missing_count, truth.path,
                                               missing->index, missing->stream));
  }
  return pairs;
}

}  // namespace peregrine::eval
