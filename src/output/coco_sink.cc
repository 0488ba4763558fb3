// SPDX-License-Identifier: Apache-2.0
// COCO results: one array of objects for all streams, as pycocotools' `loadRes` reads it.
#include <array>
#include <cmath>
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

class CocoSink final : public Sink {
 public:
  CocoSink(const std::string& path, std::vector<int> category_ids)
      : path_(path), file_(partial_path(path)), category_ids_(std::move(category_ids)) {}

  void open_stream(const StreamInfo& stream) override { streams_.open(stream.stream); }

  void write(const FrameResult& result, const Frame&) override {
    std::string& text = streams_.at(result.frame.stream);
    const Detections& found = result.detections;
    text.clear();
    for (std::size_t i = 0; i < found.size(); ++i) {
      const Box& box = found.boxes[i];
      if (!std::isfinite(box.width()) || !std::isfinite(box.height())) continue;
      append_object(text, result.frame, found, i);
    }
    if (text.empty()) return;
    const std::lock_guard lock(mutex_);
    if (empty_) text.front() = '[';
    file_.write(text);
    empty_ = false;
  }

  void finish() override {
    const std::lock_guard lock(mutex_);
    file_.write(empty_ ? "[]\n" : "\n]\n");
    file_.close();
    rename_into_place(file_.path(), path_);
  }
  std::vector<std::string> paths() const override { return {path_}; }

 private:
  // Begins with the comma that separates it from the object before, or the array's bracket.
  void append_object(std::string& text, const FrameInfo& frame, const Detections& found,
                     std::size_t i) const {
    text += ",\n{\"image_id\":";
    append_integer(text, frame.index + frame.stream * kCocoStreamStride);
    text += R"(,"category_id":)";
    append_integer(text, category_of(found.classes[i]));
    const Box& box = found.boxes[i];
    text += R"(,"bbox":)";
    append_decimals(text, std::array{box.x1, box.y1, box.width(), box.height()}, 3);
    text += R"(,"score":)";
    append_decimal(text, found.scores[i], 5);
    if (found.has_mask(i)) {
      text += R"(,"segmentation":)";
      append_json_mask(text, found.masks[i]);
    }
    if (found.has_keypoints(i)) append_keypoints(text, found.keypoints_of(i));
    text += '}';
  }

  int category_of(int class_id) const {
    const auto index = static_cast<std::size_t>(class_id);
    return class_id >= 0 && index < category_ids_.size() ? category_ids_[index] : class_id;
  }

  static void append_keypoints(std::string& text, std::span<const Keypoint> points) {
    char separator = '[';
    text += R"(,"keypoints":)";
    for (const Keypoint& point : points) {
      text += separator;
      append_decimal(text, point.x, 2);
      text += ',';
      append_decimal(text, point.y, 2);
      text += ',';
      append_decimal(text, point.score, 4);
      separator = ',';
    }
    text += ']';
  }

  const std::string path_;
  StreamTable<std::string> streams_;  // each one's text, memory kept between frames
  std::mutex mutex_;                  // of what follows
  OutputFile file_;
  bool empty_ = true;
  const std::vector<int> category_ids_;
};

}  // namespace

std::unique_ptr<Sink> make_coco_sink(const std::string& path, std::vector<int> category_ids) {
  return std::make_unique<CocoSink>(path, std::move(category_ids));
}

}  // namespace peregrine::output
