// SPDX-License-Identifier: Apache-2.0
#include "output/output_file.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>

#include <gtest/gtest.h>

#include "peregrine/error.h"
#include "video/clips.h"

namespace peregrine::output {
namespace {

using peregrine::testing::contents;
using peregrine::testing::TemporaryFolder;

std::string output_error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutput);
    return error.what();
  }
  return "no error";
}

TEST(OutputFile, WhatIsWrittenIsThereBeforeTheFileIsClosed) {
  const TemporaryFolder folder;
  OutputFile file(folder / "a.txt");
  file.write("one\n");
  EXPECT_EQ(contents(file.path()), "one\n");
  file.write("two\n");
  file.close();
  EXPECT_EQ(contents(file.path()), "one\ntwo\n");
}

TEST(OutputFile, AFullDiskIsNamed) {
  OutputFile file("/dev/full");
  const std::string expected =
      "cannot write '/dev/full': No space left on device; what was written before is kept. Free "
      "some "
      "space or write to another disk";
  EXPECT_EQ(output_error_of([&] { file.write("line\n"); }), expected);
  EXPECT_EQ(output_error_of([&] { file.write("line\n"); }), expected) << "and stays so";
  EXPECT_EQ(output_error_of([&] { file.close(); }), expected);
}

TEST(OutputFile, ALineThatDoesNotFitIsTakenBack) {
  const TemporaryFolder folder;
  // The limit on file size stands in for a full disk: 10 of the second line's bytes would fit.
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string first, second;
  const std::string path = folder / "a.jsonl";
  {
    OutputFile file(path);
    first = output_error_of([&] { file.write("123456789\n"); });
    second = output_error_of([&] { file.write("a line that is too long\n"); });
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(first, "no error");
  EXPECT_EQ(second, "cannot write '" + path + "': File too large");
  EXPECT_EQ(contents(path), "123456789\n");
}

TEST(OutputFile, AReaderThatLeavesIsAnErrorNotASignal) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int before = dup(STDOUT_FILENO);
  fflush(stdout);
  dup2(ends[1], STDOUT_FILENO);
  close(ends[0]);
  OutputFile file("-");
  const std::string message = output_error_of([&] { file.write("line\n"); });
  dup2(before, STDOUT_FILENO);
  close(before);
  close(ends[1]);
  EXPECT_EQ(message, "cannot write standard output: its reader has gone (Broken pipe)");
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST(OutputFile, UnwritablePlacesSayWhatToDo) {
  const TemporaryFolder folder;
  const std::string missing = folder / "no/such/a.txt";
  EXPECT_EQ(output_error_of([&] { OutputFile file(missing); }),
            "cannot write '" + missing + "': folder '" + folder / "no/such" +
                "' does not exist; create it first");
  EXPECT_EQ(output_error_of([&] { OutputFile file(folder / "."); }),
            "cannot write '" + folder / "." + "': Is a directory");
  EXPECT_EQ(describe_write_error("a.txt", EACCES),
            "cannot write 'a.txt': Permission denied; choose a folder that you may write to");
}

TEST(OutputPaths, StreamsAndTemporariesKeepFolderAndExtension) {
  EXPECT_EQ(stream_path("/a/b.c/out.mp4", 3, false), "/a/b.c/out-3.mp4");
  EXPECT_EQ(stream_path("out", 0, false), "out-0");
  EXPECT_EQ(stream_path("out.mp4", 0, true), "out.mp4");
  const std::string pid = std::to_string(getpid());
  EXPECT_EQ(partial_path("/a/out.mp4"), "/a/out.partial-" + pid + ".mp4");
  EXPECT_EQ(partial_path("out"), "out.partial-" + pid);
}

TEST(OutputPaths, DevicesAndStandardOutputAreWrittenInPlace) {
  for (const char* path : {"-", "/dev/null"}) {
    EXPECT_EQ(partial_path(path), path);
    EXPECT_EQ(stream_path(path, 2, false), path);
  }
  EXPECT_NO_THROW(rename_into_place("/dev/null", "/dev/null"));
}

TEST(OutputPaths, ARenameThatFailsNamesBothFiles) {
  const TemporaryFolder folder;
  const std::string partial = folder / "a.partial";
  OutputFile(partial).write("x");
  const std::string target = folder / "occupied";
  std::filesystem::create_directories(target + "/by a folder");
  EXPECT_EQ(
      output_error_of([&] { rename_into_place(partial, target); }),
      "cannot write '" + target + "': Is a directory; the finished file is '" + partial + "'");
}

}  // namespace
}  // namespace peregrine::output
