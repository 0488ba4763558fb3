// SPDX-License-Identifier: Apache-2.0
// The sheet as libav reads it back: how many pictures, which ones, and where.
#include <gtest/gtest.h>

#include "output/sink.h"
#include "test_picture.h"
#include "video/clips.h"

namespace peregrine::output {
namespace {

using peregrine::testing::pixel;
using peregrine::testing::read_all;
using peregrine::testing::TemporaryFolder;

// Frame i is of the grey level 40 + 2 i.
void write_frames(Sink& sink, int count, int width = 320, int height = 180) {
  sink.open_stream({});
  for (int i = 0; i < count; ++i) {
    Frame frame =
        plain_picture(width, height, PixelFormat::kGray8, static_cast<std::uint8_t>(40 + 2 * i));
    frame.range = ColorRange::kFull;
    FrameResult result;
    result.frame = frame.info;
    sink.write(result, frame);
  }
  sink.finish();
}

struct Sheet {
  int frames;
  int columns, rows;
  int cells;
  int stride;  // from one shown frame to the next
};

class ContactSheet : public ::testing::TestWithParam<Sheet> {};

TEST_P(ContactSheet, ShowsFramesEvenlySpread) {
  const Sheet& expected = GetParam();
  const TemporaryFolder folder;
  const auto sink = make_contact_sheet_sink(folder / "sheet.png", {});
  write_frames(*sink, expected.frames);
  EXPECT_EQ(sink->paths(), std::vector{folder / "sheet.png"});
  const auto reading = read_all(folder / "sheet.png");
  ASSERT_EQ(reading.frames.size(), 1U) << reading.error;
  const Frame& sheet = reading.frames[0];
  EXPECT_EQ(sheet.info.width, 480 * expected.columns);
  EXPECT_EQ(sheet.info.height, 270 * expected.rows);
  for (int cell = 0; cell < expected.columns * expected.rows; ++cell) {
    const int level =
        pixel(sheet, cell % expected.columns * 480 + 240, cell / expected.columns * 270 + 135)[0];
    const int shown = cell < expected.cells ? 40 + 2 * cell * expected.stride : 16;  // or black
    EXPECT_NEAR(level, shown, 2) << "cell " << cell;
  }
}

INSTANTIATE_TEST_SUITE_P(Lengths, ContactSheet,
                         ::testing::Values(Sheet{1, 1, 1, 1, 1}, Sheet{3, 3, 1, 3, 1},
                                           Sheet{4, 4, 1, 4, 1}, Sheet{5, 5, 1, 5, 1},
                                           Sheet{7, 4, 2, 7, 1}, Sheet{10, 5, 2, 10, 1},
                                           Sheet{12, 4, 3, 12, 1}, Sheet{13, 4, 2, 7, 2},
                                           Sheet{18, 3, 3, 9, 2}, Sheet{24, 4, 3, 12, 2},
                                           Sheet{25, 4, 2, 7, 4}, Sheet{100, 4, 2, 7, 16}),
                         [](const auto& test) { return std::to_string(test.param.frames); });

TEST(ContactSheets, StandingPicturesGetStandingCells) {
  const TemporaryFolder folder;
  write_frames(*make_contact_sheet_sink(folder / "sheet.png", {}), 2, 90, 160);
  const auto reading = read_all(folder / "sheet.png");
  ASSERT_EQ(reading.frames.size(), 1U) << reading.error;
  EXPECT_EQ(reading.frames[0].info.width, 960);
  EXPECT_EQ(reading.frames[0].info.height, 852);  // 480 x 160 / 90, even
}

TEST(ContactSheets, WithoutAFrameThereIsNone) {
  const TemporaryFolder folder;
  const auto sink = make_contact_sheet_sink(folder / "sheet.png", {});
  write_frames(*sink, 0);
  EXPECT_TRUE(sink->paths().empty());
  EXPECT_TRUE(folder.names().empty());
}

TEST(ContactSheets, APlaceThatCannotBeWrittenShowsAtOnce) {
  const TemporaryFolder folder;
  EXPECT_ERROR(make_contact_sheet_sink(folder / "none/sheet.png", {}), ErrorCode::kOutput,
               "none' does not exist; create it first");
}

}  // namespace
}  // namespace peregrine::output
