// SPDX-License-Identifier: Apache-2.0
#include "video/clips.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace peregrine::testing {

bool has_program(const char* name) {
  return std::system((std::string("command -v ") + name + " > /dev/null").c_str()) == 0;
}

std::string shell(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen failed");
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), got);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return output;
}

void ffmpeg(const std::string& arguments) {
  shell("ffmpeg -nostdin -hide_banner -loglevel error -y " + arguments + " 2>&1 >&2");
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::vector<std::int64_t> Reading::pts() const {
  std::vector<std::int64_t> result;
  for (const Frame& frame : frames) result.push_back(frame.info.pts);
  return result;
}

Reading read_all(video::Source& source) {
  Reading reading;
  try {
    for (;;) {
      video::SourceEvent event = source.read();
      if (auto* frame = std::get_if<Frame>(&event)) {
        reading.frames.push_back(std::move(*frame));
      } else if (auto* gap = std::get_if<StreamGap>(&event)) {
        reading.gaps.push_back(std::move(*gap));
      } else {
        break;
      }
    }
  } catch (const Error& error) {
    reading.error = error.what();
    reading.code = error.code();
  }
  reading.corrupt = source.corrupt_packets();
  return reading;
}

std::unique_ptr<video::Source> open(const std::string& argument,
                                    const video::SourceOptions& options) {
  return video::open_source(video::expand_sources({argument}).at(0), options);
}

std::array<int, 3> pixel(const Frame& frame, int x, int y) {
  const auto at = [&](std::size_t plane, int column, int row) -> int {
    return frame.planes[plane].data[row * frame.planes[plane].stride + column];
  };
  switch (frame.format) {
    case PixelFormat::kRgb24: return {at(0, 3 * x, y), at(0, 3 * x + 1, y), at(0, 3 * x + 2, y)};
    case PixelFormat::kGray8: return {at(0, x, y), at(0, x, y), at(0, x, y)};
    case PixelFormat::kNv12:
      return {at(0, x, y), at(1, x / 2 * 2, y / 2), at(1, x / 2 * 2 + 1, y / 2)};
    case PixelFormat::kYuv444p: return {at(0, x, y), at(1, x, y), at(2, x, y)};
    default: return {at(0, x, y), at(1, x / 2, y / 2), at(2, x / 2, y / 2)};
  }
}

}  // namespace peregrine::testing
