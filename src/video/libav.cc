// SPDX-License-Identifier: Apache-2.0
#include "video/libav.h"

#include <cstdarg>
#include <cstdio>
#include <mutex>

#include "core/log.h"
#include "peregrine/error.h"

namespace peregrine::video {
namespace {

void forward_message(void* context, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_WARNING) return;
  static const std::shared_ptr<spdlog::logger> log = logger("libav");
  if (!log->should_log(spdlog::level::debug)) return;
  char line[1024];
  int print_prefix = 1;
  av_log_format_line2(context, level, format, arguments, line, sizeof line, &print_prefix);
  std::string text = without_credentials(line);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  log->debug("{}", text);
}

}  // namespace

void out_of_memory(const char* what) {
  throw Error(ErrorCode::kOutOfMemory, std::string("video: no memory for ") + what);
}

AvFrame make_av_frame() {
  AvFrame frame(av_frame_alloc());
  if (!frame) out_of_memory("a frame");
  return frame;
}

AvPacket make_av_packet() {
  AvPacket packet(av_packet_alloc());
  if (!packet) out_of_memory("a packet");
  return packet;
}

std::string av_error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return text;
}

void route_libav_log() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_callback(forward_message); });
}

std::string without_credentials(std::string text) {
  for (std::size_t from = 0; (from = text.find("://", from)) != std::string::npos;) {
    from += 3;
    const std::size_t authority_end = text.find_first_of("/?# \t\n'\"", from);
    const std::size_t at = text.substr(0, authority_end).rfind('@');
    if (at != std::string::npos && at >= from) text.erase(from, at + 1 - from);
  }
  return text;
}

AVRational to_av(Rational value) {
  AVRational result{0, 1};
  av_reduce(&result.num, &result.den, value.num, value.den, INT32_MAX);
  return result;
}

}  // namespace peregrine::video
