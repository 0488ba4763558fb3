// SPDX-License-Identifier: Apache-2.0
// Clips made on the spot with the ffmpeg program, and what tests read from sources.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "peregrine/error.h"
#include "testing/temporary_folder.h"
#include "video/source.h"

namespace peregrine::testing {

bool has_program(const char* name);
/// Runs a shell command; its standard output. Fails the test when it fails.
std::string shell(const std::string& command);
/// `ffmpeg -y ARGUMENTS`, quietly.
void ffmpeg(const std::string& arguments);

std::string contents(const std::string& path);
void write_file(const std::string& path, const std::string& bytes);

/// Everything a source has: frames up to its end or error.
struct Reading {
  std::vector<Frame> frames;
  std::vector<StreamGap> gaps;
  std::string error;  ///< message; empty when the stream simply ended
  ErrorCode code = ErrorCode::kInternal;
  std::int64_t corrupt = 0;

  std::vector<std::int64_t> pts() const;
};
Reading read_all(video::Source& source);
std::unique_ptr<video::Source> open(const std::string& argument,
                                    const video::SourceOptions& options = {});
inline Reading read_all(const std::string& argument, const video::SourceOptions& options = {}) {
  return read_all(*open(argument, options));
}

/// Bytes of the pixel at (x, y): Y, U, V for YUV formats, R, G, B for RGB, the gray thrice.
std::array<int, 3> pixel(const Frame& frame, int x, int y);

/// `statement` throws an Error of `expected_code` whose message holds `text`.
#define EXPECT_ERROR(statement, expected_code, text)                                       \
  try {                                                                                    \
    statement;                                                                             \
    ADD_FAILURE() << "no error from " #statement;                                          \
  } catch (const ::peregrine::Error& error) {                                              \
    EXPECT_EQ(::peregrine::to_string(error.code()), std::string(to_string(expected_code))) \
        << error.what();                                                                   \
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();    \
  }

#define PEREGRINE_NEEDS_FFMPEG() \
  if (!::peregrine::testing::has_program("ffmpeg")) GTEST_SKIP() << "needs the ffmpeg program"

}  // namespace peregrine::testing
