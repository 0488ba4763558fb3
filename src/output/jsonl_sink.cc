// SPDX-License-Identifier: Apache-2.0
// JSON lines, schema 1: one object a frame, written by hand because a JSON library costs more than
// the tracker. docs/output.md describes the fields.
#include <array>
#include <cstddef>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "output/coco_rle.h"
#include "output/output_file.h"
#include "output/sink.h"
#include "output/stream_table.h"
#include "output/text.h"

namespace peregrine::output {
namespace {

// Hundredths of a pixel and ten-thousandths of a score are finer than any model; an embedding of
// unit length keeps its cosine to about 1e-6.
constexpr int kPixelDecimals = 2;
constexpr int kScoreDecimals = 4;
constexpr int kAngleDecimals = 4;
constexpr int kEmbeddingDecimals = 6;
constexpr int kDepthDecimals = 6;

class JsonlSink final : public Sink {
 public:
  JsonlSink(const std::string& path, const std::vector<std::string>& labels,
            std::string depth_folder)
      : file_(path), labels_(quoted(labels)), depth_folder_(std::move(depth_folder)) {}

  void open_stream(const StreamInfo& stream) override {
    std::string head = R"({"schema":1,"source":)";
    append_json_string(head, stream.source);
    head += R"(,"stream":)";
    append_integer(head, stream.stream);
    streams_.open(stream.stream, Stream{std::move(head), {}});
  }

  void write(const FrameResult& result, const Frame&) override {
    Stream& stream = streams_.at(result.frame.stream);
    std::string& line = stream.line;
    line = stream.head;
    append_frame(line, result.frame);
    // A frame that was searched and is empty says so; a model that finds no objects says nothing.
    const bool whole_picture =
        !result.classes.empty() || !result.embedding.empty() || !result.depth.empty();
    if (!whole_picture || !result.detections.empty()) append_detections(line, result.detections);
    if (!result.classes.empty()) append_classes(line, result.classes);
    if (!result.embedding.empty()) append_embedding(line, result.embedding);
    if (!result.depth.empty()) append_depth(line, result);
    line += "}\n";
    write_line(line);
  }

  void write_gap(const StreamGap& gap) override {
    std::string line = streams_.at(gap.stream).head;
    line += R"(,"gap":{"from":)";
    append_decimal(line, gap.from_seconds, 6);
    line += R"(,"to":)";
    append_decimal(line, gap.to_seconds, 6);
    line += R"(,"reason":)";
    append_json_string(line, gap.reason);
    line += "}}\n";
    write_line(line);
  }

  void finish() override {
    const std::lock_guard lock(mutex_);
    file_.close();
  }
  std::vector<std::string> paths() const override { return {file_.path()}; }

 private:
  struct Stream {
    std::string head;  // of each line: schema, source and stream do not change
    std::string line;  // memory kept between frames
  };

  static std::vector<std::string> quoted(const std::vector<std::string>& labels) {
    std::vector<std::string> quoted(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) append_json_string(quoted[i], labels[i]);
    return quoted;
  }

  void write_line(const std::string& line) {
    const std::lock_guard lock(mutex_);
    file_.write(line);
  }

  static void append_frame(std::string& line, const FrameInfo& frame) {
    line += R"(,"frame":)";
    append_integer(line, frame.index);
    line += R"(,"pts":)";
    append_seconds(line, frame.pts, frame.time_base);
    line += R"(,"width":)";
    append_integer(line, frame.width);
    line += R"(,"height":)";
    append_integer(line, frame.height);
  }

  void append_class(std::string& line, int class_id, float score) const {
    line += R"({"class":)";
    append_integer(line, class_id);
    if (class_id >= 0 && static_cast<std::size_t>(class_id) < labels_.size()) {
      line += R"(,"label":)";
      line += labels_[static_cast<std::size_t>(class_id)];
    }
    line += R"(,"score":)";
    append_decimal(line, score, kScoreDecimals);
  }

  void append_detections(std::string& line, const Detections& found) const {
    line += R"(,"detections":[)";
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (i > 0) line += ',';
      append_class(line, found.classes[i], found.scores[i]);
      const Box& box = found.boxes[i];
      line += R"(,"box":)";
      append_decimals(line, std::array{box.x1, box.y1, box.x2, box.y2}, kPixelDecimals);
      if (!found.oriented.empty()) append_oriented(line, found.oriented[i]);
      if (!found.tracks.empty() && found.tracks[i] != kNoTrack) {
        line += R"(,"track":)";
        append_integer(line, found.tracks[i]);
      }
      if (found.has_keypoints(i)) append_keypoints(line, found.keypoints_of(i));
      if (found.has_mask(i)) {
        line += R"(,"mask":)";
        append_json_mask(line, found.masks[i]);
      }
      if (!found.embeddings.empty() && is_computed(found.embedding_of(i))) {
        append_embedding(line, found.embedding_of(i));
      }
      line += '}';
    }
    line += ']';
  }

  static void append_oriented(std::string& line, const OrientedBox& box) {
    line += R"(,"obb":)";
    append_decimals(line, std::array{box.cx, box.cy, box.width, box.height}, kPixelDecimals);
    line.back() = ',';
    append_decimal(line, box.angle, kAngleDecimals);
    line += ']';
  }

  static void append_keypoints(std::string& line, std::span<const Keypoint> points) {
    line += R"(,"keypoints":[)";
    for (const Keypoint& point : points) {
      append_decimals(line, std::array{point.x, point.y}, kPixelDecimals);
      line.back() = ',';
      append_decimal(line, point.score, kScoreDecimals);
      line += "],";
    }
    if (line.back() == ',') line.pop_back();
    line += ']';
  }

  static void append_embedding(std::string& line, std::span<const float> values) {
    line += R"(,"embedding":)";
    append_decimals(line, values, kEmbeddingDecimals);
  }

  static bool is_computed(std::span<const float> embedding) {
    for (const float value : embedding) {
      if (value != 0) return true;
    }
    return false;
  }

  void append_depth(std::string& line, const FrameResult& result) const {
    line += R"(,"depth":{"min":)";
    append_decimal(line, result.depth.min, kDepthDecimals);
    line += R"(,"max":)";
    append_decimal(line, result.depth.max, kDepthDecimals);
    line += R"(,"median":)";
    append_decimal(line, result.depth.median(), kDepthDecimals);
    if (!depth_folder_.empty()) {
      line += R"(,"file":)";
      append_json_string(line, depth_file(depth_folder_, result.frame.stream, result.frame.index));
    }
    line += '}';
  }

  void append_classes(std::string& line, std::span<const ClassScore> classes) const {
    line += R"(,"classes":[)";
    for (std::size_t i = 0; i < classes.size(); ++i) {
      if (i > 0) line += ',';
      append_class(line, classes[i].class_id, classes[i].score);
      line += '}';
    }
    line += ']';
  }

  StreamTable<Stream> streams_;
  std::mutex mutex_;  // of the file: lines of several streams take turns
  OutputFile file_;
  const std::vector<std::string> labels_;  // as JSON strings
  const std::string depth_folder_;
};

}  // namespace

std::unique_ptr<Sink> make_jsonl_sink(const std::string& path, std::vector<std::string> labels,
                                      std::string depth_folder) {
  return std::make_unique<JsonlSink>(path, labels, std::move(depth_folder));
}

}  // namespace peregrine::output
