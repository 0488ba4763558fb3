// SPDX-License-Identifier: Apache-2.0
#include "core/settings_keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "peregrine/error.h"

namespace peregrine {
namespace {

// One field of Settings. A template argument, so that each row stays one plain function pointer.
template <auto Section, auto Member>
SettingField field(Settings& settings) {
  return &(settings.*Section.*Member);
}
template <auto Member>
SettingField field(ModelSettings& model) {
  return &(model.*Member);
}
template <auto Member>
SettingField field(Settings& settings) {
  return &(settings.*Member);
}

using S = Settings;
using Inference = InferenceSettings;
using Input = InputSettings;
using Rtsp = RtspSettings;
using Tracking = TrackingSettings;
using Embedding = EmbeddingSettings;
using Output = OutputSettings;

constexpr std::string_view kTasks = "auto|detect|segment|pose|obb|classify|embed|depth";

// clang-format off
const SettingKey kKeys[] = {
  {.name = "profile", .flag = "--profile",
   .documentation = "Built-in settings to start from; auto looks at the machine",
   .choices = "auto|cpu-small|cpu|cuda|debug", .field = field<&S::profile>},
  {.name = "strict_gpu", .flag = "--strict-gpu",
   .documentation = "Stop with an error where a frame would be handled on the CPU",
   .field = field<&S::strict_gpu>},
  {.name = "vram_limit", .flag = "--vram-limit",
   .documentation = "GPU memory that may be taken, in GiB; 0: all that is free",
   .max = 4096, .unit = "G", .field = field<&S::vram_limit>},

  {.name = "inference.device", .flag = "--device", .documentation = "Where the model runs",
   .choices = "auto|cpu|cuda|cuda:N", .field = field<&S::inference, &Inference::device>},
  {.name = "inference.precision", .flag = "--precision",
   .documentation = "Arithmetic of the model; the CPU engine always runs in FP32",
   .choices = "auto|fp32|fp16", .field = field<&S::inference, &Inference::precision>},
  {.name = "inference.batch", .flag = "--batch", .documentation = "Frames in one inference",
   .min = 1, .max = 256, .zero_is_auto = true, .by_resolution = true,
   .field = field<&S::inference, &Inference::batch>},
  {.name = "inference.threads", .flag = "--threads",
   .documentation = "CPU threads of the engine; auto takes the cores this process may use",
   .min = 1, .max = 1024, .zero_is_auto = true, .field = field<&S::inference, &Inference::threads>},
  {.name = "inference.latency", .flag = "--latency",
   .documentation = "Answer each frame as fast as possible, instead of most frames a second",
   .field = field<&S::inference, &Inference::latency>},
  {.name = "inference.image_size", .flag = "--imgsz",
   .documentation = "Side of the model's input, where the model leaves it open",
   .min = 32, .max = 8192, .zero_is_auto = true, .by_resolution = true,
   .field = field<&S::inference, &Inference::image_size>},
  {.name = "inference.task", .flag = "--task", .documentation = "What the model's outputs mean",
   .choices = kTasks, .field = field<&S::inference, &Inference::task>},
  {.name = "inference.labels", .flag = "--labels",
   .documentation = "File of class names, one a line; empty takes the model's",
   .input_path = true, .field = field<&S::inference, &Inference::labels>},
  {.name = "inference.normalize", .flag = "--normalize",
   .documentation = "Mean and deviation that the model was trained with; auto goes by its family",
   .choices = "auto|none|imagenet|clip", .field = field<&S::inference, &Inference::normalize>},
  {.name = "inference.confidence", .flag = "--conf",
   .documentation = "Objects of a lower score are left out",
   .max = 1, .field = field<&S::inference, &Inference::confidence>},
  {.name = "inference.iou", .flag = "--iou",
   .documentation = "Of two boxes of one class that overlap by more, the better one stays",
   .max = 1, .field = field<&S::inference, &Inference::iou>},
  {.name = "inference.max_detections", .flag = "--max-det",
   .documentation = "Objects in one frame, at most",
   .min = 1, .max = 30000, .field = field<&S::inference, &Inference::max_detections>},
  {.name = "inference.classes", .flag = "--classes",
   .documentation = "Class numbers to keep, such as 0,2; empty keeps all",
   .max = 1e6, .field = field<&S::inference, &Inference::classes>},
  {.name = "inference.max_delay_ms", .flag = "--max-delay",
   .documentation = "While the device is busy, a batch waits so long to fill, in ms",
   .max = 10000, .unit = "ms", .field = field<&S::inference, &Inference::max_delay_ms>},

  {.name = "input.queue_depth", .flag = "--queue-depth",
   .documentation = "Decoded frames of one stream that wait for inference, at most",
   .min = 1, .max = 256, .by_resolution = true, .field = field<&S::input, &Input::queue_depth>},
  {.name = "input.max_open_files", .flag = "--max-open-files",
   .documentation = "Files decoded side by side; the others wait their turn",
   .min = 1, .max = 1024, .by_resolution = true, .field = field<&S::input, &Input::max_open_files>},
  {.name = "input.max_side", .flag = "--max-side",
   .documentation = "Pictures with a longer side, in pixels, are refused",
   .min = 16, .max = 65536, .field = field<&S::input, &Input::max_side>},
  {.name = "input.decoder_threads", .flag = "--decoder-threads",
   .documentation = "CPU threads that decode one stream",
   .min = 1, .max = 64, .zero_is_auto = true, .by_resolution = true,
   .field = field<&S::input, &Input::decoder_threads>},
  {.name = "input.decode_size", .flag = "--decode-size",
   .documentation = "Longest side a GPU decoder scales pictures down to; 0 leaves them as coded",
   .max = 8192, .by_resolution = true, .field = field<&S::input, &Input::decode_size>},
  {.name = "input.start_seconds", .flag = "--start", .documentation = "Skip what comes before",
   .max = 1e9, .field = field<&S::input, &Input::start_seconds>},
  {.name = "input.end_seconds", .flag = "--end", .documentation = "Stop there; 0 runs to the end",
   .max = 1e9, .field = field<&S::input, &Input::end_seconds>},
  {.name = "input.every", .flag = "--every", .documentation = "Use each Nth frame",
   .min = 1, .max = 1e6, .field = field<&S::input, &Input::every>},
  {.name = "input.max_frames", .flag = "--max-frames",
   .documentation = "Frames of one stream, at most; 0 takes all",
   .max = 2e9, .field = field<&S::input, &Input::max_frames>},
  {.name = "input.loop", .flag = "--loop",
   .documentation = "Read each video file so many times, its times going on",
   .min = 1, .max = 1e9, .field = field<&S::input, &Input::loop>},
  {.name = "input.pace", .flag = "--pace",
   .documentation = "Play files at their own speed, as cameras: what cannot be kept up with is dropped",
   .field = field<&S::input, &Input::pace>},
  {.name = "input.connect_seconds", .flag = nullptr,
   .documentation = "A first connection that takes longer fails",
   .min = 0.1, .max = 3600, .field = field<&S::input, &Input::connect_seconds>},

  {.name = "rtsp.stall_seconds", .flag = "--stall",
   .documentation = "A live source silent for so long is connected again",
   .min = 0.1, .max = 3600, .field = field<&S::rtsp, &Rtsp::stall_seconds>},
  {.name = "rtsp.backoff_min_seconds", .flag = nullptr,
   .documentation = "Wait before the first attempt to connect again; doubles with each",
   .min = 0.01, .max = 3600, .field = field<&S::rtsp, &Rtsp::backoff_min_seconds>},
  {.name = "rtsp.backoff_max_seconds", .flag = nullptr,
   .documentation = "Wait between attempts to connect again, at most",
   .min = 0.01, .max = 3600, .field = field<&S::rtsp, &Rtsp::backoff_max_seconds>},
  {.name = "rtsp.max_reconnects", .flag = "--max-reconnects",
   .documentation = "Attempts to connect again before a source counts as lost; -1 never gives up",
   .min = -1, .max = 1e6, .field = field<&S::rtsp, &Rtsp::max_reconnects>},

  {.name = "tracking.enabled", .flag = "--track",
   .documentation = "Give objects an identity over time (ByteTrack)",
   .field = field<&S::tracking, &Tracking::enabled>},
  {.name = "tracking.high_threshold", .flag = nullptr,
   .documentation = "Score from which objects take part in the first association",
   .max = 1, .field = field<&S::tracking, &Tracking::high_threshold>},
  {.name = "tracking.low_threshold", .flag = nullptr,
   .documentation = "Score from which objects take part in the second association",
   .max = 1, .field = field<&S::tracking, &Tracking::low_threshold>},
  {.name = "tracking.new_track_threshold", .flag = nullptr,
   .documentation = "Score from which an unmatched object starts a track",
   .max = 1, .field = field<&S::tracking, &Tracking::new_track_threshold>},
  {.name = "tracking.confirm_threshold", .flag = nullptr,
   .documentation = "Score above which a new track has its id at once, not at its second sighting; 1 leaves this out",
   .max = 1, .field = field<&S::tracking, &Tracking::confirm_threshold>},
  {.name = "tracking.duplicate_iou", .flag = nullptr,
   .documentation = "An object that overlaps by more with one that has a track starts none; 1 leaves this out",
   .max = 1, .field = field<&S::tracking, &Tracking::duplicate_iou>},
  {.name = "tracking.match_iou", .flag = nullptr,
   .documentation = "Least overlap of the first association",
   .max = 1, .field = field<&S::tracking, &Tracking::match_iou>},
  {.name = "tracking.second_match_iou", .flag = nullptr,
   .documentation = "Least overlap of the second association",
   .max = 1, .field = field<&S::tracking, &Tracking::second_match_iou>},
  {.name = "tracking.unconfirmed_match_iou", .flag = nullptr,
   .documentation = "Least overlap for a track that was seen once",
   .max = 1, .field = field<&S::tracking, &Tracking::unconfirmed_match_iou>},
  {.name = "tracking.recovery_margin", .flag = nullptr,
   .documentation = "Share of its size by which a box grows on each side for the last associations; 0 leaves them out",
   .max = 1, .field = field<&S::tracking, &Tracking::recovery_margin>},
  {.name = "tracking.recovery_iou", .flag = nullptr,
   .documentation = "Least overlap of grown boxes in the first of the last associations",
   .max = 1, .field = field<&S::tracking, &Tracking::recovery_iou>},
  {.name = "tracking.wide_margin", .flag = nullptr,
   .documentation = "As recovery_margin, for what is alone even then; 0 leaves this association out",
   .max = 10, .field = field<&S::tracking, &Tracking::wide_margin>},
  {.name = "tracking.wide_iou", .flag = nullptr,
   .documentation = "Least overlap of boxes grown by wide_margin",
   .max = 1, .field = field<&S::tracking, &Tracking::wide_iou>},
  {.name = "tracking.settle_crossings", .flag = nullptr,
   .documentation = "Two that hid each other are told apart by size and course once they part",
   .field = field<&S::tracking, &Tracking::settle_crossings>},
  {.name = "tracking.lost_seconds", .flag = nullptr,
   .documentation = "How long a lost track can be found again",
   .max = 3600, .field = field<&S::tracking, &Tracking::lost_seconds>},
  {.name = "tracking.frame_rate", .flag = nullptr,
   .documentation = "Rate, in 1/s, that the motion model's noise is given for",
   .min = 0.1, .max = 1000, .field = field<&S::tracking, &Tracking::frame_rate>},
  {.name = "tracking.size_state", .flag = nullptr,
   .documentation = "The motion model knows width and height instead of aspect ratio and height",
   .field = field<&S::tracking, &Tracking::size_state>},
  {.name = "tracking.appearance_threshold", .flag = nullptr,
   .documentation = "Least cosine of embeddings that may match (needs --reid); 0 leaves appearance out",
   .max = 1, .field = field<&S::tracking, &Tracking::appearance_threshold>},
  {.name = "tracking.fuse_score", .flag = nullptr,
   .documentation = "The first association weighs overlap by score",
   .field = field<&S::tracking, &Tracking::fuse_score>},
  {.name = "tracking.class_aware", .flag = nullptr,
   .documentation = "Objects of different classes never match",
   .field = field<&S::tracking, &Tracking::class_aware>},

  {.name = "embeddings.enabled", .flag = "--embeddings",
   .documentation = "Write an embedding of each (tracked) object (on with --reid), or of the picture",
   .field = field<&S::embeddings, &Embedding::enabled>},
  {.name = "embeddings.model", .flag = "--reid",
   .documentation = "ReID model (ONNX) that makes the embeddings",
   .input_path = true, .field = field<&S::embeddings, &Embedding::model>},
  {.name = "embeddings.batch", .flag = nullptr,
   .documentation = "Objects in one inference of the ReID model",
   .min = 1, .max = 256, .field = field<&S::embeddings, &Embedding::batch>},

  {.name = "output.jsonl", .flag = "--jsonl",
   .documentation = "Write one JSON line a frame to this file; - is standard output",
   .field = field<&S::output, &Output::jsonl>},
  {.name = "output.mot", .flag = "--mot", .documentation = "Write MOT text to this file",
   .field = field<&S::output, &Output::mot>},
  {.name = "output.coco", .flag = "--coco", .documentation = "Write COCO results to this file",
   .field = field<&S::output, &Output::coco>},
  {.name = "output.annotate", .flag = "--annotate",
   .documentation = "Write the video with what was found drawn on it (MP4)",
   .field = field<&S::output, &Output::annotate>},
  {.name = "output.contact_sheet", .flag = "--contact-sheet",
   .documentation = "Write up to twelve annotated frames, spread over the run, as one PNG",
   .field = field<&S::output, &Output::contact_sheet>},
  {.name = "output.depth", .flag = "--depth",
   .documentation = "Write each frame's depth as a 16-bit PNG into this folder",
   .field = field<&S::output, &Output::depth>},
  {.name = "output.ledger", .flag = "--ledger",
   .documentation = "Write each transfer's direction, stage, reason and bytes to this JSON file; "
                    "audit also compares them with what the driver saw",
   .field = field<&S::output, &Output::ledger>},
  {.name = "output.masks", .flag = "--masks",
   .documentation = "Compute masks of segmentation models",
   .field = field<&S::output, &Output::masks>},
  {.name = "output.bit_rate", .flag = nullptr,
   .documentation = "Bit rate of annotated video, bit/s",
   .min = 10000, .max = 1e9, .zero_is_auto = true, .field = field<&S::output, &Output::bit_rate>},
  {.name = "output.progress", .flag = "--progress",
   .documentation = "Progress on standard error: a line in a terminal, a JSON line a second, none",
   .choices = "auto|json|none", .field = field<&S::output, &Output::progress>},

  {.name = "log.level", .flag = "--log-level", .documentation = "Least level that is logged",
   .choices = "trace|debug|info|warn|error|off", .field = field<&S::log, &LogSettings::level>},
};

const ModelKey kModelKeys[] = {
  {.name = "name",
   .documentation = "What --model calls it; by default the file's name without its extension",
   .field = field<&ModelSettings::name>},
  {.name = "path", .documentation = "ONNX file", .input_path = true,
   .field = field<&ModelSettings::path>},
  {.name = "task", .documentation = "As inference.task, for this model",
   .choices = kTasks, .field = field<&ModelSettings::task>},
  {.name = "labels", .documentation = "As inference.labels, for this model", .input_path = true,
   .field = field<&ModelSettings::labels>},
  {.name = "enabled", .documentation = "Whether it runs when no --model is given",
   .field = field<&ModelSettings::enabled>},
  {.name = "tracking", .documentation = "As tracking.enabled, for this model",
   .field = field<&ModelSettings::tracking>},
  {.name = "embeddings", .documentation = "As embeddings.enabled, for this model",
   .field = field<&ModelSettings::embeddings>},
};
// clang-format on

[[noreturn]] void refuse(const SettingText& text, const std::string& wanted) {
  throw Error(ErrorCode::kInvalidConfig,
              fmt::format("{}: {} = '{}' is not valid; it takes {}", text.origin.place, text.key,
                          text.value, wanted));
}

bool is_choice(std::string_view value, std::string_view choices) {
  while (!choices.empty()) {
    const std::string_view choice = choices.substr(0, choices.find('|'));
    choices.remove_prefix(std::min(choices.size(), choice.size() + 1));
    if (value == choice) return true;
    // "cuda:N" stands for any number.
    if (choice.ends_with(":N") && value.starts_with(choice.substr(0, choice.size() - 1))) {
      const std::string_view digits = value.substr(choice.size() - 1);
      if (!digits.empty() && digits.size() <= 3 &&
          digits.find_first_not_of("0123456789") == std::string_view::npos) {
        return true;
      }
    }
  }
  return false;
}

std::optional<bool> parse_bool(const std::string& text) {
  for (const char* yes : {"true", "1", "yes", "on"}) {
    if (text == yes) return true;
  }
  for (const char* no : {"false", "0", "no", "off"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

// The whole of `text` as a finite number; locale plays no part.
template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(static_cast<double>(value))) return std::nullopt;
  return value;
}

template <typename Number>
std::optional<Number> parse_in_range(std::string_view text, const SettingKey& key) {
  if (!key.unit.empty() && text.ends_with(key.unit)) text.remove_suffix(key.unit.size());
  const auto value = parse_number<Number>(text);
  if (!value || static_cast<double>(*value) < key.min || static_cast<double>(*value) > key.max) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::vector<int>> parse_list(std::string_view text, const SettingKey& key) {
  std::vector<int> list;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    const std::size_t first = item.find_first_not_of(' ');
    if (first == std::string_view::npos) return std::nullopt;
    const auto value =
        parse_in_range<int>(item.substr(first, item.find_last_not_of(' ') - first + 1), key);
    if (!value) return std::nullopt;
    list.push_back(*value);
  }
  return list;
}

template <typename T>
void store(T* field, std::optional<T> value, const SettingText& text, const std::string& wanted) {
  if (!value) refuse(text, wanted);
  *field = std::move(*value);
}

struct Assign {
  const SettingKey& key;
  const SettingText& text;
  std::string wanted;

  void operator()(bool* to) const { store(to, parse_bool(text.value), text, wanted); }
  void operator()(int* to) const {
    const bool automatic = key.zero_is_auto && (text.value == "auto" || text.value == "0");
    store(to, automatic ? std::optional(0) : parse_in_range<int>(text.value, key), text, wanted);
  }
  void operator()(double* to) const {
    store(to, parse_in_range<double>(text.value, key), text, wanted);
  }
  void operator()(std::string* to) const {
    if (!key.choices.empty() && !is_choice(text.value, key.choices)) refuse(text, wanted);
    *to = text.value;
  }
  void operator()(std::vector<int>* to) const {
    store(to, parse_list(text.value, key), text, wanted);
  }
  void operator()(std::optional<bool>* to) const {
    const auto value = parse_bool(text.value);
    if (!value) refuse(text, wanted);
    *to = value;
  }
};

const char* type_of(const SettingField& field) {
  constexpr std::array kNames = {"true or false", "integer",          "number",
                                 "text",          "list of integers", "true or false"};
  return kNames[field.index()];
}

std::string wanted(const SettingField& field, const SettingKey& key) {
  const std::string range = range_text(key);
  return range.empty() ? type_of(field) : fmt::format("{}: {}", type_of(field), range);
}

struct Print {
  bool automatic_zero;
  bool toml;
  std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
  std::string operator()(const int* value) const {
    if (automatic_zero && *value == 0) return toml ? "\"auto\"" : "auto";
    return std::to_string(*value);
  }
  std::string operator()(const double* value) const { return fmt::format("{}", *value); }
  std::string operator()(const std::string* value) const {
    return toml ? toml_string(*value) : *value;
  }
  std::string operator()(const std::vector<int>* value) const {
    return fmt::format(fmt::runtime(toml ? "[{}]" : "{}"), fmt::join(*value, toml ? ", " : ","));
  }
  std::string operator()(const std::optional<bool>* value) const {
    return !*value ? "" : **value ? "true" : "false";
  }
};

SettingField field_of(const SettingKey& key, const Settings& settings) {
  return key.field(const_cast<Settings&>(settings));  // only read through
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

// "inference.batch" seen through "batch": people leave the section out.
std::string_view last_part(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

}  // namespace

std::span<const SettingKey> setting_keys() { return kKeys; }
std::span<const ModelKey> model_keys() { return kModelKeys; }

const SettingKey* find_setting_key(std::string_view name) {
  const auto found = std::find_if(std::begin(kKeys), std::end(kKeys),
                                  [&](const SettingKey& key) { return name == key.name; });
  return found == std::end(kKeys) ? nullptr : &*found;
}

std::string environment_name(std::string_view key) {
  std::string name = "PEREGRINE_";
  for (const char c : key) {
    const bool letter = c >= 'a' && c <= 'z';
    const bool kept = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += letter ? static_cast<char>(c - 'a' + 'A') : kept ? c : '_';
  }
  return name;
}

std::string type_name(const SettingKey& key) {
  Settings any;
  return type_of(key.field(any));
}

std::string range_text(const SettingKey& key) {
  if (!key.choices.empty()) return std::string(key.choices);
  if (key.min == key.max) return "";
  return fmt::format("{}{:.10g} to {:.10g}", key.zero_is_auto ? "auto, or " : "", key.min, key.max);
}

std::string value_text(const SettingKey& key, const Settings& settings) {
  return std::visit(Print{key.zero_is_auto, false}, field_of(key, settings));
}

std::string value_toml(const SettingKey& key, const Settings& settings) {
  return std::visit(Print{key.zero_is_auto, true}, field_of(key, settings));
}

void assign(const SettingKey& key, const SettingText& text, Settings& settings) {
  const SettingField field = key.field(settings);
  std::visit(Assign{key, text, wanted(field, key)}, field);
}

void assign(const ModelKey& key, const SettingText& text, ModelSettings& model) {
  const SettingKey as_setting{.name = key.name,
                              .flag = nullptr,
                              .documentation = key.documentation,
                              .choices = key.choices,
                              .field = nullptr};
  const SettingField field = key.field(model);
  std::visit(Assign{as_setting, text, wanted(field, as_setting)}, field);
}

std::string suggestion(std::string_view name, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = std::max<std::size_t>(2, name.size() / 4) + 1;
  for (const std::string& candidate : known) {
    std::size_t distance = edit_distance(name, candidate);
    if (name.find('.') == std::string_view::npos) {
      distance = std::min(distance, edit_distance(name, last_part(candidate)));
    }
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best.empty() ? "" : fmt::format("; did you mean '{}'?", best);
}

std::string toml_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  quoted += '"';
  return quoted;
}

}  // namespace peregrine
