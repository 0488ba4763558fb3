// SPDX-License-Identifier: Apache-2.0
// Sources over sockets on loopback: a real RTSP server, a silent one, http, and a pipe.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <future>
#include <thread>

#include "video/clips.h"

namespace peregrine::testing {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using video::EndOfStream;
using video::SourceOptions;

const std::string kHere = std::string(PEREGRINE_SOURCE_DIR) + "/tests/video/";

/// A socket bound to a free port of loopback; listens (and stays silent) when asked to.
class Socket {
 public:
  explicit Socket(bool listening) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(descriptor_, raw, size), 0);
    EXPECT_EQ(::getsockname(descriptor_, raw, &size), 0);
    port_ = ntohs(address.sin_port);
    if (listening) {
      EXPECT_EQ(::listen(descriptor_, 8), 0);
    }
  }
  ~Socket() { ::close(descriptor_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int port() const { return port_; }

 private:
  int descriptor_;
  int port_ = 0;
};

int free_port() { return Socket(false).port(); }

/// A child process that prints a line when it is ready; killed with its owner.
class Server {
 public:
  explicit Server(const std::vector<std::string>& command) {
    int output[2] = {};
    EXPECT_EQ(::pipe(output), 0);
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(output[1], STDOUT_FILENO);
      ::close(output[0]);
      ::close(output[1]);
      std::vector<char*> arguments;
      for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
      arguments.push_back(nullptr);
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    ::close(output[1]);
    char byte = 0;
    while (byte != '\n' && ::read(output[0], &byte, 1) == 1) {
    }
    ready_ = byte == '\n';
    ::close(output[0]);
  }
  ~Server() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  bool ready() const { return ready_; }
  void freeze() { ::kill(process_, SIGSTOP); }
  void thaw() { ::kill(process_, SIGCONT); }

 private:
  pid_t process_ = -1;
  bool ready_ = false;
};

constexpr const char* kPython = "/usr/bin/python3";  // Debian's, which has its python3-gi

std::unique_ptr<Server> camera(int port, int width, int height) {
  return std::make_unique<Server>(
      std::vector<std::string>{kPython, kHere + "rtsp_server.py", std::to_string(port),
                               std::to_string(width), std::to_string(height)});
}

#define PEREGRINE_NEEDS_CAMERA()                                                     \
  if (std::system("/usr/bin/python3 -c \"import gi; "                                \
                  "gi.require_version('GstRtspServer', '1.0')\" 2> /dev/null") != 0) \
  GTEST_SKIP() << "needs python3-gi and gir1.2-gst-rtsp-server-1.0"

std::string live_address(int port) { return fmt::format("rtsp://127.0.0.1:{}/live", port); }

SourceOptions quick() {
  SourceOptions options;
  options.backoff_min_seconds = 0.1;
  options.backoff_max_seconds = 0.4;
  return options;
}

/// Takes `count` frames, checking that time rises; what else comes is returned.
std::vector<StreamGap> take_frames(video::Source& source, int count, std::vector<Frame>& frames) {
  std::vector<StreamGap> gaps;
  while (count > 0) {
    video::SourceEvent event = source.read();
    if (auto* frame = std::get_if<Frame>(&event)) {
      if (!frames.empty()) {
        EXPECT_GT(frame->info.pts, frames.back().info.pts);
      }
      frames.push_back(std::move(*frame));
      --count;
    } else if (auto* gap = std::get_if<StreamGap>(&event)) {
      gaps.push_back(*gap);
    } else {
      ADD_FAILURE() << "the stream ended";
      break;
    }
  }
  return gaps;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TEST(Rtsp, SurvivesARestartWithAnotherResolution) {
  PEREGRINE_NEEDS_CAMERA();
  const int port = free_port();
  auto server = camera(port, 160, 120);
  ASSERT_TRUE(server->ready());
  const auto source = open(live_address(port), quick());
  EXPECT_TRUE(source->info().live);
  EXPECT_EQ(source->info().width, 160);
  std::vector<Frame> frames;
  EXPECT_TRUE(take_frames(*source, 15, frames).empty());

  server.reset();
  const auto stopped = Clock::now();
  auto restart = std::async(std::launch::async, [&] {
    std::this_thread::sleep_for(1s);
    server = camera(port, 96, 128);
  });
  const double before = frames.back().info.seconds();
  std::vector<Frame> after;  // first some that were still on their way when the server went
  std::vector<StreamGap> gaps;
  while (gaps.empty() && seconds_since(stopped) < 15) gaps = take_frames(*source, 1, after);
  take_frames(*source, 10, after);
  const double away = seconds_since(stopped);
  restart.get();
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_EQ(gaps[0].reason, "connection lost");
  EXPECT_GE(gaps[0].from_seconds, before);
  EXPECT_GT(gaps[0].to_seconds, gaps[0].from_seconds + 0.9);
  EXPECT_LT(gaps[0].to_seconds, before + away + 0.5);
  const Frame& last = after.back();
  EXPECT_EQ(last.info.width, 96);
  EXPECT_EQ(last.info.height, 128);
  // One clock: as much time in the stream as in the world.
  EXPECT_NEAR(last.info.seconds() - before, away, 1.0);
}

TEST(Rtsp, NoticesAStallInTime) {
  PEREGRINE_NEEDS_CAMERA();
  const int port = free_port();
  auto server = camera(port, 160, 120);
  ASSERT_TRUE(server->ready());
  SourceOptions options = quick();
  options.max_reconnects = 0;
  const auto source = open(live_address(port), options);
  std::vector<Frame> frames;
  take_frames(*source, 10, frames);
  server->freeze();
  const auto start = Clock::now();
  const Reading rest = read_all(*source);
  EXPECT_EQ(rest.code, ErrorCode::kInputNotFound);
  EXPECT_NE(rest.error.find("stalled, and 0 attempts to reconnect failed"), std::string::npos)
      << rest.error;
  EXPECT_GT(seconds_since(start), 2.4);
  EXPECT_LT(seconds_since(start), 3.0);
}

TEST(Rtsp, ReportsAStallAsAGap) {
  PEREGRINE_NEEDS_CAMERA();
  const int port = free_port();
  auto server = camera(port, 160, 120);
  ASSERT_TRUE(server->ready());
  SourceOptions options = quick();
  options.stall_seconds = 1;
  const auto source = open(live_address(port), options);
  std::vector<Frame> frames;
  take_frames(*source, 10, frames);
  server->freeze();
  auto thaw = std::async(std::launch::async, [&] {
    std::this_thread::sleep_for(2500ms);
    server->thaw();
  });
  std::vector<Frame> after;
  const auto gaps = take_frames(*source, 25, after);
  thaw.get();
  ASSERT_EQ(gaps.size(), 1U);
  EXPECT_EQ(gaps[0].reason, "stalled");
  EXPECT_GT(gaps[0].to_seconds - gaps[0].from_seconds, 1.0);
}

TEST(Rtsp, AServerThatStaysSilentIsGivenUp) {
  const Socket silent(true);
  const auto start = Clock::now();
  EXPECT_ERROR(open(fmt::format("rtsp://joe:secret@127.0.0.1:{}/live", silent.port())),
               ErrorCode::kInputNotFound, fmt::format("'rtsp://127.0.0.1:{}/live'", silent.port()));
  EXPECT_GT(seconds_since(start), 2.5);
  EXPECT_LT(seconds_since(start), 4.5);
}

TEST(Rtsp, ARefusedConnectionIsNamed) {
  const int port = free_port();
  EXPECT_ERROR(open(live_address(port)), ErrorCode::kInputNotFound,
               "cannot be reached: Connection refused");
}

TEST(Rtsp, OpeningCanBeCancelled) {
  const Socket silent(true);
  std::atomic<bool> cancel = false;
  SourceOptions options;
  options.cancel = &cancel;
  auto later = std::async(std::launch::async, [&] {
    std::this_thread::sleep_for(300ms);
    cancel = true;
  });
  const auto start = Clock::now();
  EXPECT_ERROR(open(live_address(silent.port()), options), ErrorCode::kInterrupted, "stopped");
  EXPECT_LT(seconds_since(start), 0.7);
}

TEST(Rtsp, ReadingAndReconnectingCanBeInterrupted) {
  PEREGRINE_NEEDS_CAMERA();
  for (const bool dead : {false, true}) {
    const int port = free_port();
    auto server = camera(port, 160, 120);
    ASSERT_TRUE(server->ready());
    const auto source = open(live_address(port), quick());
    std::vector<Frame> frames;
    take_frames(*source, 5, frames);
    if (dead) {
      server.reset();  // the source will be trying to reconnect
    } else {
      server->freeze();  // the source will be waiting for data
    }
    Clock::time_point asked;
    auto later = std::async(std::launch::async, [&] {
      std::this_thread::sleep_for(800ms);
      asked = Clock::now();
      source->interrupt();
    });
    const Reading rest = read_all(*source);
    later.get();
    EXPECT_EQ(rest.error, "");
    EXPECT_LT(seconds_since(asked), 0.3);
  }
}

TEST(Http, AFiniteFileEnds) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  ffmpeg("-f lavfi -i testsrc2=s=64x64:r=10:d=2 -c:v libx264 '" + folder / "a.mp4" + "'");
  const int port = free_port();
  const std::string program = fmt::format(
      "import http.server, functools\n"
      "handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory='{}')\n"
      "handler.log_message = None\n"
      "server = http.server.ThreadingHTTPServer(('127.0.0.1', {}), handler)\n"
      "print('ready', flush=True)\n"
      "server.serve_forever()\n",
      folder.path().string(), port);
  const Server server({kPython, "-c", program});
  ASSERT_TRUE(server.ready());
  const std::string address = fmt::format("http://127.0.0.1:{}/", port);
  const auto source = open(address + "a.mp4");
  EXPECT_FALSE(source->info().live);
  const Reading reading = read_all(*source);
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(reading.frames.size(), 20U);
  EXPECT_ERROR(open(address + "b.mp4"), ErrorCode::kInputNotFound, "404");
}

/// Reads "-" while standard input is `path`.
Reading read_as_standard_input(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  const int saved = ::dup(STDIN_FILENO);
  ::dup2(::fileno(file), STDIN_FILENO);
  Reading reading = read_all("-");
  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
  std::fclose(file);
  return reading;
}

TEST(Pipe, ReadsAContainerThatStreams) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  for (const char* format : {"matroska", "mpegts", "avi"}) {
    const std::string fifo = folder / format;
    shell("mkfifo '" + fifo + "'");
    auto writer = std::async(std::launch::async, [&] {
      ffmpeg(
          fmt::format("-f lavfi -i testsrc2=s=64x64:r=10:d=2 -c:v mpeg4 -f {} '{}'", format, fifo));
    });
    const Reading reading = read_as_standard_input(fifo);
    writer.get();
    EXPECT_EQ(reading.error, "") << format;
    EXPECT_EQ(reading.frames.size(), 20U) << format;
  }
}

TEST(Pipe, MayHaveAName) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  const std::string fifo = folder / "a.mkv";
  shell("mkfifo '" + fifo + "'");
  auto writer = std::async(std::launch::async, [&] {
    ffmpeg("-f lavfi -i testsrc2=s=64x64:r=10:d=2 -c:v mpeg4 '" + fifo + "'");
  });
  const Reading reading = read_all(fifo);
  writer.get();
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(reading.frames.size(), 20U);
}

TEST(Pipe, MayBeARegularFile) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  // Its index stands at the end: reading it takes seeking.
  ffmpeg("-f lavfi -i testsrc2=s=64x64:r=10:d=2 -c:v mpeg4 '" + folder / "a.mp4" + "'");
  const Reading reading = read_as_standard_input(folder / "a.mp4");
  EXPECT_EQ(reading.error, "");
  EXPECT_EQ(reading.frames.size(), 20U);
}

TEST(Pipe, ASilentOneCanBeInterrupted) {
  PEREGRINE_NEEDS_FFMPEG();
  const TemporaryFolder folder;
  ffmpeg("-f lavfi -i testsrc2=s=64x64:r=10:d=2 -c:v mpeg4 '" + folder / "a.ts" + "'");
  int ends[2] = {};
  ASSERT_EQ(::pipe(ends), 0);
  const int saved = ::dup(STDIN_FILENO);
  ::dup2(ends[0], STDIN_FILENO);
  std::atomic<bool> cancel = false;
  SourceOptions options;
  options.cancel = &cancel;
  auto later = std::async(std::launch::async, [&] {
    std::this_thread::sleep_for(300ms);
    cancel = true;
  });
  const auto start = Clock::now();
  EXPECT_ERROR(open("-", options), ErrorCode::kInterrupted, "stopped");
  EXPECT_LT(seconds_since(start), 0.6);
  ::dup2(saved, STDIN_FILENO);
  for (const int each : {saved, ends[0], ends[1]}) ::close(each);
}

}  // namespace
}  // namespace peregrine::testing
