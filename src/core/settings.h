// SPDX-License-Identifier: Apache-2.0
// What the user can choose. Values come from layers, each stronger than the one before: defaults,
// the built-in profile, one TOML file, the environment, flags. docs/configuration.md is the manual.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/machine.h"

namespace peregrine {

// Each field below has one row in settings_keys.cc (name, range, flag, explanation); the
// initializers here are the defaults. 0 stands for "auto" where the row says so.

struct InferenceSettings {
  std::string device = "auto";     ///< auto, cpu, cuda, cuda:N
  std::string precision = "auto";  ///< auto, fp32, fp16
  int batch = 0;                   ///< pictures in one inference; 0: auto
  int threads = 0;                 ///< CPU threads of the engine; 0: auto
  bool latency = false;
  int image_size = 0;  ///< side of the model's input where the model leaves it open; 0: auto
  std::string task = "auto";
  std::string labels;              ///< file of class names, one a line; empty: the model's
  std::string normalize = "auto";  ///< auto, none, imagenet, clip
  double confidence = 0.25;
  double iou = 0.7;
  int max_detections = 300;
  std::vector<int> classes;  ///< empty: all
  double max_delay_ms = 10;
};

struct InputSettings {
  int queue_depth = 4;      ///< decoded frames that wait for inference, per stream
  int max_open_files = 8;   ///< files decoded side by side
  int max_side = 8192;      ///< pixels
  int decoder_threads = 0;  ///< per stream; 0: auto
  int decode_size = 0;      ///< longest side a GPU decoder scales down to; 0: as coded
  double start_seconds = 0;
  double end_seconds = 0;  ///< 0: to the end
  int every = 1;
  int max_frames = 0;  ///< 0: all
  int loop = 1;        ///< times that a file is read
  bool pace = false;
  double connect_seconds = 10;
};

struct RtspSettings {
  double stall_seconds = 2.5;
  double backoff_min_seconds = 0.5;
  double backoff_max_seconds = 30;
  int max_reconnects = -1;  ///< -1: for ever
};

/// The fields of track::ByteTrackOptions, with its defaults (a test holds them together), and the
/// switch. core stands below track, so it cannot hold that type itself.
struct TrackingSettings {
  bool enabled = false;
  double high_threshold = 0.25;
  double low_threshold = 0.1;
  double new_track_threshold = 0.25;
  double confirm_threshold = 1;
  double duplicate_iou = 0.5;
  double match_iou = 0.2;
  double second_match_iou = 0.5;
  double unconfirmed_match_iou = 0.3;
  double recovery_margin = 0.2;
  double recovery_iou = 0.1;
  double wide_margin = 1;
  double wide_iou = 0.2;
  bool settle_crossings = true;
  double lost_seconds = 1.0;
  double frame_rate = 30.0;
  bool size_state = true;
  double appearance_threshold = 0;
  bool fuse_score = true;
  bool class_aware = true;
};

struct EmbeddingSettings {
  bool enabled = false;
  std::string model;  ///< path of a ReID model
  int batch = 16;     ///< object crops in one inference
};

struct OutputSettings {
  std::string jsonl, mot, coco, annotate,
      contact_sheet,  ///< paths; empty: not written; jsonl "-": stdout
      depth,          ///< a folder, or empty
      ledger;         ///< a path, "audit", or empty
  bool masks = true;
  int bit_rate = 0;               ///< of annotated video, bit/s; 0: auto
  std::string progress = "auto";  ///< auto, json, none
};

struct LogSettings {
  std::string level = "warn";
};

/// One `[[models]]` table: what runs when no --model is given, and switches for one that is.
struct ModelSettings {
  std::string name;  ///< by default the file name without its extension
  std::string path;
  std::string task;    ///< empty: inference.task
  std::string labels;  ///< empty: inference.labels
  bool enabled = true;
  std::optional<bool> tracking;    ///< absent: tracking.enabled
  std::optional<bool> embeddings;  ///< absent: embeddings.enabled
};

enum class SettingLayer : std::uint8_t { kDefault, kProfile, kFile, kEnvironment, kFlag };

/// Where a value came from: its layer, and the place for people, such as "profile cpu",
/// "config.toml:12", "PEREGRINE_INFERENCE_BATCH", "--batch".
struct SettingOrigin {
  SettingLayer layer = SettingLayer::kDefault;
  std::string place = "default";
};

/// A value as text, not yet checked, and where it stands.
struct SettingText {
  std::string key;  ///< "inference.batch", "models.people.enabled", "resolution.4k.inference.batch"
  std::string value;
  SettingOrigin origin;
};

struct Settings {
  std::string profile = "auto";  ///< as asked for; `profile_used` is what it became
  bool strict_gpu = false;
  double vram_limit = 0;  ///< GiB; 0: none
  InferenceSettings inference;
  InputSettings input;
  RtspSettings rtsp;
  TrackingSettings tracking;
  EmbeddingSettings embeddings;
  OutputSettings output;
  LogSettings log;
  std::vector<ModelSettings> models;

  std::string profile_used;    ///< never "auto"
  std::string profile_reason;  ///< why, in one sentence for people
  std::string file;            ///< the TOML file that was read; empty: none

  /// Origin of each key that is not at its default.
  std::map<std::string, SettingOrigin> origins;
  /// Checked values for one class of resolution ("1080p", "4k", "8k"), weakest layer first.
  std::map<std::string, std::vector<SettingText>> by_resolution;

  const SettingOrigin& origin(const std::string& key) const;
  /// These settings for a video of that size (source pixels): `[resolution.CLASS]` values replace
  /// those of the same or a weaker layer, so a flag beats the file's table for 4K.
  Settings for_resolution(int width, int height) const;
};

/// "1080p" above 1280 pixels on the longer side, "4k" above 2560, "8k" above 5120, else "".
std::string resolution_class(int width, int height);

/// All that decides the settings; nothing else is read.
struct SettingsInputs {
  /// --config, else PEREGRINE_CONFIG: must exist. Empty: the first of `default_files` that exists.
  std::string file;
  std::vector<std::string> default_files;
  std::vector<std::pair<std::string, std::string>> environment;  ///< name and value
  std::vector<SettingText> flags;  ///< in the order given: later ones win
  Machine machine;
  bool cuda_engine = false;  ///< this build has one, so `auto` may choose a GPU
};

/// The process's environment, ./peregrine.toml then $XDG_CONFIG_HOME/peregrine/config.toml (or
/// ~/.config/...), and this machine. No flags.
SettingsInputs process_inputs();

/// Throws `Error(kInvalidConfig)` with the place, the nearest valid name for an unknown key, and
/// the range for a bad value.
Settings resolve(const SettingsInputs& inputs);

/// The models to run: those named by `asked` (a path, or the name of a `[[models]]` table), or
/// every enabled table when it is empty. Switches that a table leaves out are filled in. Throws
/// `Error(kUsage)` when nothing is left to run.
std::vector<ModelSettings> models_to_run(const Settings& settings,
                                         const std::vector<std::string>& asked);

/// `settings` as a TOML file that gives the same again, with absolute paths. `as_template`: every
/// key explained and commented out, for people to start from.
std::string to_toml(const Settings& settings, bool as_template);

}  // namespace peregrine
