// SPDX-License-Identifier: Apache-2.0
// MOT challenge text: frame, id, left, top, width, height, confidence, and -1 for the three columns
// of the 3D challenge. Frames count from 1; positions are as in JSONL, from 0.
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "output/output_file.h"
#include "output/sink.h"
#include "output/stream_table.h"
#include "output/text.h"

namespace peregrine::output {
namespace {

class MotSink final : public Sink {
 public:
  explicit MotSink(const std::string& path) : path_(path) {}

  void open_stream(const StreamInfo& stream) override {
    streams_.open(stream.stream, partial_path(stream_path(path_, stream.stream, false)));
  }

  void write(const FrameResult& result, const Frame&) override {
    Stream& stream = streams_.at(result.frame.stream);
    const Detections& found = result.detections;
    stream.lines.clear();
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::int64_t track = found.tracks.empty() ? kNoTrack : found.tracks[i];
      const bool tracking = !found.tracks.empty();
      if (tracking && track == kNoTrack) continue;
      append_object(stream.lines, result.frame.index + 1, track, found.boxes[i], found.scores[i]);
    }
    if (!stream.lines.empty()) stream.file.write(stream.lines);
  }

  void close_stream(int stream) override { streams_.at(stream).file.close(); }

  void finish() override {
    const bool only = streams_.only_first();
    streams_.for_each([&](int number, Stream& stream) {
      stream.file.close();
      const std::string path = stream_path(path_, number, only);
      rename_into_place(stream.file.path(), path);
      paths_.push_back(path);
    });
  }
  std::vector<std::string> paths() const override { return paths_; }

 private:
  struct Stream {
    explicit Stream(const std::string& path) : file(path) {}
    OutputFile file;
    std::string lines;
  };

  static void append_object(std::string& lines, std::int64_t frame, std::int64_t track,
                            const Box& box, float score) {
    const float values[] = {box.x1, box.y1, box.width(), box.height()};
    for (const float value : values) {
      if (!std::isfinite(value)) return;  // the format has no word for it
    }
    append_integer(lines, frame);
    lines += ',';
    append_integer(lines, track);
    for (const float value : values) {
      lines += ',';
      append_decimal(lines, value, 2);
    }
    lines += ',';
    append_decimal(lines, score, 4);
    lines += ",-1,-1,-1\n";
  }

  const std::string path_;
  StreamTable<Stream> streams_;
  std::vector<std::string> paths_;
};

}  // namespace

std::unique_ptr<Sink> make_mot_sink(const std::string& path) {
  return std::make_unique<MotSink>(path);
}

}  // namespace peregrine::output
