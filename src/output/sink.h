// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "output/annotator.h"
#include "peregrine/detections.h"
#include "vision/task_spec.h"

namespace peregrine::output {

/// What a sink must know of a stream before its first frame.
struct StreamInfo {
  int stream = 0;
  std::string source;  ///< as the user named it, credentials removed
  int width = 0, height = 0;
  Rational frame_rate{0, 1};  ///< nominal; {0, 1} when unknown
  Rational time_base{1, 1};
};

/// Where answers go. Thread-safe: streams call it from their own threads; the frames of one stream
/// come in order. Throws `Error(kOutput)` with the path when the disk is full or the path
/// unwritable; what was written before stays valid.
class Sink {
 public:
  virtual ~Sink() = default;
  /// Whether `frame` in `write` must hold the picture, in whatever memory it lies.
  virtual bool wants_picture() const { return false; }
  virtual void open_stream(const StreamInfo& stream) = 0;
  /// `frame` is empty unless `wants_picture()`.
  virtual void write(const FrameResult& result, const Frame& frame) = 0;
  virtual void write_gap(const StreamGap&) {}
  virtual void close_stream(int /*stream*/) {}
  /// Completes the file and gives it its final name. Called once, also when the run failed: what a
  /// failed `write` left behind keeps its temporary name, everything else is completed.
  virtual void finish() = 0;
  /// Paths written, for the summary.
  virtual std::vector<std::string> paths() const = 0;
};

/// `path` "-" is stdout. Frames appear as they come, each line whole. `depth_folder`: the one that
/// `make_depth_sink` got, so that lines name its files; empty: there is none.
std::unique_ptr<Sink> make_jsonl_sink(const std::string& path, std::vector<std::string> labels,
                                      std::string depth_folder = {});
/// The depth of each frame as a 16-bit grey PNG in `folder`, which is made where it is missing: 0
/// is the map's `min`, 65535 its `max`, the size is `depth_picture_size`.
std::unique_ptr<Sink> make_depth_sink(const std::string& folder);
/// Its file for a frame: FOLDER/STREAM-FRAME.png, six digits or more.
std::string depth_file(const std::string& folder, int stream, std::int64_t frame);
/// MOT challenge text, 10 columns, 1-based. With several streams, one file a stream: `path` gets
/// "-N" before its extension.
std::unique_ptr<Sink> make_mot_sink(const std::string& path);
/// COCO results: one JSON array of {image_id, category_id, bbox, score, segmentation?, keypoints?}
/// for all streams. `image_id` is the frame's index plus `kCocoStreamStride` times its stream;
/// `category_id` is `category_ids[class]`, or the class itself where there is no such entry.
std::unique_ptr<Sink> make_coco_sink(const std::string& path, std::vector<int> category_ids = {});
/// A year of one stream at 30 fps, and still exact in a double after a million streams.
constexpr std::int64_t kCocoStreamStride = 1'000'000'000;

struct AnnotateOptions {
  std::vector<std::string> labels;
  int bit_rate = 0;  ///< 0 lets the encoder choose by picture size
  MakeAnnotator make_annotator = make_cpu_annotator;
};
/// Annotated MP4 (H.264 where libav has an encoder, else MPEG-4), fragmented so that a killed run
/// still plays. With several streams, one file a stream, named as for MOT.
std::unique_ptr<Sink> make_annotated_video_sink(const std::string& path,
                                                const AnnotateOptions& options);

/// One PNG of up to twelve annotated frames, evenly spread over the run, all streams together.
/// Nothing is written when there was no frame.
std::unique_ptr<Sink> make_contact_sheet_sink(const std::string& path,
                                              const AnnotateOptions& options);

}  // namespace peregrine::output
