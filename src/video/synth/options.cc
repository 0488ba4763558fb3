// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "peregrine/error.h"
#include "video/synth/synth.h"

namespace peregrine::synth {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(ErrorCode::kUsage, "synthetic world: " + what);
}

template <typename T>
T number(std::string_view key, std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    refuse(fmt::format("'{}={}' is not a number", key, text));
  }
  return value;
}

Rational parse_rate(std::string_view text) {
  const auto slash = text.find('/');
  if (slash != std::string_view::npos) {
    return {number<std::int64_t>("fps", text.substr(0, slash)),
            number<std::int64_t>("fps", text.substr(slash + 1))};
  }
  const double rate = number<double>("fps", text);
  if (!(rate > 0 && rate < 1e6)) refuse(fmt::format("fps={} is out of range (1 to 240)", text));
  if (rate == std::floor(rate)) return {static_cast<std::int64_t>(rate), 1};
  return {std::llround(rate * 1000), 1000};
}

SynthOptions::Time parse_time(std::string_view text) {
  if (text == "any") return SynthOptions::Time::kAny;
  if (text == "day") return SynthOptions::Time::kDay;
  if (text == "dusk") return SynthOptions::Time::kDusk;
  if (text == "night") return SynthOptions::Time::kNight;
  refuse(fmt::format("time={} is unknown (any, day, dusk, night)", text));
}

void set_option(SynthOptions& options, std::string_view key, std::string_view value) {
  if (key == "seed") {
    options.seed = number<std::uint64_t>(key, value);
  } else if (key == "size") {
    const auto x = value.find('x');
    if (x == std::string_view::npos)
      refuse(fmt::format("size={} is not WIDTHxHEIGHT, such as 1280x720", value));
    options.width = number<int>(key, value.substr(0, x));
    options.height = number<int>(key, value.substr(x + 1));
  } else if (key == "fps") {
    options.frame_rate = parse_rate(value);
  } else if (key == "seconds") {
    options.seconds = number<double>(key, value);
  } else if (key == "time") {
    options.time = parse_time(value);
  } else if (key == "crowd") {
    options.crowd = number<double>(key, value);
  } else {
    refuse(fmt::format("'{}' is unknown (seed, size, fps, seconds, time, crowd)", key));
  }
}

}  // namespace

const std::vector<std::string>& coco_labels() {
  static const std::vector<std::string> labels = {"person",        "bicycle",      "car",
                                                  "motorcycle",    "airplane",     "bus",
                                                  "train",         "truck",        "boat",
                                                  "traffic light", "fire hydrant", "stop sign",
                                                  "parking meter", "bench",        "bird",
                                                  "cat",           "dog",          "horse",
                                                  "sheep",         "cow",          "elephant",
                                                  "bear",          "zebra",        "giraffe",
                                                  "backpack",      "umbrella",     "handbag",
                                                  "tie",           "suitcase",     "frisbee",
                                                  "skis",          "snowboard",    "sports ball",
                                                  "kite",          "baseball bat", "baseball glove",
                                                  "skateboard",    "surfboard",    "tennis racket",
                                                  "bottle",        "wine glass",   "cup",
                                                  "fork",          "knife",        "spoon",
                                                  "bowl",          "banana",       "apple",
                                                  "sandwich",      "orange",       "broccoli",
                                                  "carrot",        "hot dog",      "pizza",
                                                  "donut",         "cake",         "chair",
                                                  "couch",         "potted plant", "bed",
                                                  "dining table",  "toilet",       "tv",
                                                  "laptop",        "mouse",        "remote",
                                                  "keyboard",      "cell phone",   "microwave",
                                                  "oven",          "toaster",      "sink",
                                                  "refrigerator",  "book",         "clock",
                                                  "vase",          "scissors",     "teddy bear",
                                                  "hair drier",    "toothbrush"};
  return labels;
}

std::int64_t SynthOptions::frame_count() const {
  return std::max<std::int64_t>(1, std::llround(seconds * frame_rate.value()));
}

void check_synth_options(const SynthOptions& o) {
  for (int side : {o.width, o.height}) {
    if (side < 64 || side > 8192) {
      refuse(
          fmt::format("size {}x{} is out of range (64 to 8192 pixels a side)", o.width, o.height));
    }
  }
  const double rate = o.frame_rate.den > 0 ? o.frame_rate.value() : 0;
  if (!(rate >= 1 && rate <= 240)) {
    refuse(fmt::format("fps {}/{} is out of range (1 to 240 frames a second)", o.frame_rate.num,
                       o.frame_rate.den));
  }
  if (!(o.seconds > 0 && o.seconds <= 86400)) {
    refuse(fmt::format("seconds {} is out of range (above 0, up to 86400)", o.seconds));
  }
  if (!(o.crowd >= 0 && o.crowd <= 4)) {
    refuse(fmt::format("crowd {} is out of range (0 to 4)", o.crowd));
  }
}

SynthOptions parse_synth_options(const std::string& text) {
  SynthOptions options;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) {
      refuse(fmt::format("'{}' is not KEY=VALUE (such as seed=7,size=1280x720)", part));
    }
    set_option(options, part.substr(0, equals), part.substr(equals + 1));
  }
  check_synth_options(options);
  return options;
}

}  // namespace peregrine::synth
