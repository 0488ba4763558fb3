// SPDX-License-Identifier: Apache-2.0
// Depth as 16-bit grey PNGs, one a frame: level 0 is the frame's `min`, 65535 its `max`, which the
// JSON lines hold.
#include <atomic>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "output/depth_picture.h"
#include "output/output_file.h"
#include "output/png.h"
#include "output/sink.h"
#include "peregrine/error.h"

namespace peregrine::output {
namespace {

class DepthSink final : public Sink {
 public:
  explicit DepthSink(std::string folder) : folder_(std::move(folder)) {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (error) throw Error(ErrorCode::kOutput, describe_write_error(folder_, error.value()));
    // An unwritable place shows before anything is computed.
    const std::string probe = partial_path(depth_file(folder_, 0, 0));
    OutputFile(probe).close();
    std::remove(probe.c_str());
  }

  void open_stream(const StreamInfo&) override {}

  void write(const FrameResult& result, const Frame&) override {
    const FrameInfo& frame = result.frame;
    if (result.depth.empty()) return;
    const auto [width, height] = depth_picture_size(result.depth, frame.width, frame.height);
    DepthRows rows(result.depth, width, height);
    std::vector<std::uint16_t> levels;
    levels.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
    for (int y = 0; y < height; ++y) {
      for (const float value : rows.row(y)) {
        levels.push_back(static_cast<std::uint16_t>(std::lround(65535 * value)));
      }
    }
    write_png16(depth_file(folder_, frame.stream, frame.index), width, height, levels);
    written_ = true;
  }

  void finish() override {}
  std::vector<std::string> paths() const override {
    return written_ ? std::vector{folder_} : std::vector<std::string>{};
  }

 private:
  const std::string folder_;
  std::atomic<bool> written_{false};
};

}  // namespace

std::string depth_file(const std::string& folder, int stream, std::int64_t frame) {
  return (std::filesystem::path(folder) / fmt::format("{}-{:06}.png", stream, frame)).string();
}

std::unique_ptr<Sink> make_depth_sink(const std::string& folder) {
  return std::make_unique<DepthSink>(folder);
}

}  // namespace peregrine::output
