// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "output/output_file.h"
#include "output/picture_fit.h"
#include "output/sink.h"
#include "output/stream_table.h"
#include "video/encoder.h"

namespace peregrine::output {
namespace {

class AnnotatedVideoSink final : public Sink {
 public:
  AnnotatedVideoSink(const std::string& path, AnnotateOptions options)
      : path_(path), options_(std::move(options)) {}

  bool wants_picture() const override { return true; }

  void open_stream(const StreamInfo& stream) override {
    const std::string partial = partial_path(stream_path(path_, stream.stream, false));
    OutputFile(partial).close();  // an unwritable place shows before anything is computed
    streams_.open(stream.stream, stream, partial, options_.make_annotator(options_.labels));
  }

  void write(const FrameResult& result, const Frame& frame) override {
    Stream& stream = streams_.at(result.frame.stream);
    try {
      const Frame drawn = stream.annotator->draw(frame, result);
      if (!stream.encoder) start(stream, drawn);
      const bool as_it_is = drawn.device == stream.encoder->device() && stream.fit->fits(drawn);
      stream.encoder->write(as_it_is ? drawn : stream.fit->fit(stream.annotator->to_host(drawn)));
    } catch (...) {
      stream.failed = true;
      throw;
    }
  }

  void close_stream(int stream) override { complete(streams_.at(stream)); }

  void finish() override {
    const bool only = streams_.only_first();
    streams_.for_each([&](int number, Stream& stream) {
      complete(stream);
      const std::string path = stream_path(path_, number, only);
      if (stream.failed)
        return;           // reported by `write`; what there is stays under its temporary name
      if (!stream.fit) {  // no picture came: an empty file is no video
        if (stream.partial != path) std::remove(stream.partial.c_str());
        return;
      }
      rename_into_place(stream.partial, path);
      paths_.push_back(path);
    });
  }
  std::vector<std::string> paths() const override { return paths_; }

 private:
  struct Stream {
    Stream(const StreamInfo& stream_info, std::string partial_name,
           std::unique_ptr<Annotator> stream_annotator)
        : info(stream_info),
          partial(std::move(partial_name)),
          annotator(std::move(stream_annotator)) {}
    StreamInfo info;
    std::string partial;
    std::unique_ptr<Annotator> annotator;
    std::unique_ptr<PictureFit> fit;
    std::unique_ptr<video::VideoEncoder> encoder;  // from the first frame on, until it is complete
    bool failed = false;
  };

  // Size and colour are known for certain only from a picture.
  void start(Stream& stream, const Frame& first) const {
    video::EncoderOptions options;
    options.width = first.info.width;
    options.height = first.info.height;
    options.time_base = first.info.time_base;
    options.frame_rate = stream.info.frame_rate;
    options.bit_rate = options_.bit_rate;
    options.device = first.device;
    options.matrix = first.matrix;
    options.range = first.range;
    stream.fit = std::make_unique<PictureFit>(first);
    stream.encoder = std::make_unique<video::VideoEncoder>(stream.partial, options);
  }

  static void complete(Stream& stream) {
    if (stream.encoder && !stream.failed) stream.encoder->finish();
    stream.encoder.reset();
  }

  const std::string path_;
  const AnnotateOptions options_;
  StreamTable<Stream> streams_;
  std::vector<std::string> paths_;
};

}  // namespace

std::unique_ptr<Sink> make_annotated_video_sink(const std::string& path,
                                                const AnnotateOptions& options) {
  return std::make_unique<AnnotatedVideoSink>(path, options);
}

}  // namespace peregrine::output
