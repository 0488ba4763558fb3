// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "video/clips.h"

namespace peregrine::testing {
namespace {

using video::expand_sources;
using video::SourceSpec;
using Kind = video::SourceSpec::Kind;

std::vector<std::string> names(const std::vector<SourceSpec>& specs) {
  std::vector<std::string> result;
  for (const SourceSpec& spec : specs) result.push_back(spec.name);
  return result;
}

void touch(const std::string& path) { write_file(path, "x"); }

TEST(ExpandSources, AddressesLoseTheirCredentialsInTheName) {
  const auto specs = expand_sources({"rtsp://joe:s3c@ret@cam.example:554/live?a=b@c",
                                     "https://cam.example/a.mp4", "rtsps://u@h", "-"});
  EXPECT_EQ(names(specs),
            (std::vector<std::string>{"rtsp://cam.example:554/live?a=b@c",
                                      "https://cam.example/a.mp4", "rtsps://h", "-"}));
  EXPECT_EQ(specs[0].kind, Kind::kNetwork);
  EXPECT_EQ(specs[0].url, "rtsp://joe:s3c@ret@cam.example:554/live?a=b@c");
  EXPECT_EQ(specs[3].kind, Kind::kPipe);
}

TEST(ExpandSources, AMissingFileIsASourceOfItsOwn) {
  const auto specs = expand_sources({"/no/such.mp4", "/no/such.jpg", "/no/list.txt"});
  ASSERT_EQ(specs.size(), 3U);
  EXPECT_EQ(specs[0].kind, Kind::kFile);
  EXPECT_EQ(specs[1].kind, Kind::kPictures);
  EXPECT_ERROR(video::open_source(specs[1], {}), ErrorCode::kInputNotFound, "/no/such.jpg");
  EXPECT_ERROR(video::open_source(specs[2], {}), ErrorCode::kInputNotFound, "/no/list.txt");
}

TEST(ExpandSources, AFolderGivesItsVideosAndItsPicturesInNaturalOrder) {
  const TemporaryFolder folder;
  for (const char* name : {"b10.mp4", "b9.mp4", "notes.md", "p2.jpg", "p10.JPG", "p01.png"}) {
    touch(folder / name);
  }
  std::filesystem::create_directory(folder / "inside");
  touch(folder / "inside/c.mp4");
  const auto specs = expand_sources({folder.path().string()});
  EXPECT_EQ(names(specs), (std::vector<std::string>{folder / "b9.mp4", folder / "b10.mp4",
                                                    folder.path().string()}));
  EXPECT_EQ(specs[2].kind, Kind::kPictures);
  EXPECT_EQ(specs[2].files,
            (std::vector<std::string>{folder / "p01.png", folder / "p2.jpg", folder / "p10.JPG"}));
}

TEST(ExpandSources, AGlobTakesWhatItMatches) {
  const TemporaryFolder folder;
  for (const char* name : {"a1.mp4", "a2.dat", "b.mp4", "real[1].mp4"}) touch(folder / name);
  EXPECT_EQ(names(expand_sources({folder / "a*"})),
            (std::vector<std::string>{folder / "a1.mp4", folder / "a2.dat"}));
  // A file of that very name is meant, not a pattern.
  EXPECT_EQ(names(expand_sources({folder / "real[1].mp4"})),
            (std::vector<std::string>{folder / "real[1].mp4"}));
  EXPECT_ERROR(expand_sources({folder / "z*"}), ErrorCode::kInputNotFound, "no file matches");
}

TEST(ExpandSources, AnEmptyFolderIsAnError) {
  const TemporaryFolder folder;
  touch(folder / "notes.md");
  EXPECT_ERROR(expand_sources({folder.path().string()}), ErrorCode::kInputNotFound,
               "holds no video and no picture");
}

TEST(ExpandSources, AListNamesOneSourceALine) {
  const TemporaryFolder folder;
  touch(folder / "a.mp4");
  write_file(folder / "more.txt", "/abs/c.mp4\n");
  write_file(folder / "list.txt",
             "# cameras\n\n  a.mp4  \r\nrtsp://u:p@cam/1\n/abs/b.mp4\nmore.txt\n");
  EXPECT_EQ(
      names(expand_sources({folder / "list.txt"})),
      (std::vector<std::string>{folder / "a.mp4", "rtsp://cam/1", "/abs/b.mp4", "/abs/c.mp4"}));
  write_file(folder / "empty.txt", "# nothing\n");
  EXPECT_ERROR(expand_sources({folder / "empty.txt"}), ErrorCode::kInputNotFound,
               "names no source");
  write_file(folder / "self.txt", "self.txt\n");
  EXPECT_ERROR(expand_sources({folder / "self.txt"}), ErrorCode::kUsage, "name each other");
}

}  // namespace
}  // namespace peregrine::testing
