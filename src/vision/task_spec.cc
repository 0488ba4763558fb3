// SPDX-License-Identifier: Apache-2.0
#include "vision/task_spec.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/export_metadata.h"

namespace peregrine::vision {
namespace {

constexpr float kImageNetMean[] = {0.485f, 0.456f, 0.406f};
constexpr float kImageNetStd[] = {0.229f, 0.224f, 0.225f};
constexpr float kClipMean[] = {0.48145466f, 0.4578275f, 0.40821073f};
constexpr float kClipStd[] = {0.26862954f, 0.26130258f, 0.27577711f};

/// One identification in progress: what is known from outside, and the answer as it grows.
class Identifier {
 public:
  Identifier(const ModelInfo& model, const TaskOverrides& overrides)
      : model_(model), overrides_(overrides), metadata_(read_export_metadata(model.metadata)) {}

  TaskSpec identify() {
    read_input();
    read_names();
    find_outputs();
    spec_.boxes_output = main_;
    wanted_ = overrides_.task ? overrides_.task : metadata_task();
    const Shape& shape = main_shape();
    const bool flat = shape.size() == 2 || (shape.size() == 4 && shape[2] == 1 && shape[3] == 1);
    if (flat) {
      identify_flat(shape[1]);
    } else if (shape.size() == 3) {
      refuse_foreign(shape);
      identify_boxes(shape[1], shape[2]);
    } else {
      refuse(
          "no output has the form of a detector, classifier or embedding model (3 or 2 "
          "dimensions)");
    }
    name_classes();
    return std::move(spec_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    std::string outputs;
    for (const TensorSpec& output : model_.outputs) {
      outputs += (outputs.empty() ? "" : ", ") + output.name + " " + to_string(output.shape);
    }
    throw Error(ErrorCode::kTaskUnknown,
                fmt::format("model '{}' (outputs: {}): {}", model_.path, outputs, what));
  }

  void read_input() {
    if (model_.inputs.size() != 1 || model_.inputs[0].shape.size() != 4) {
      refuse(
          fmt::format("it takes {} inputs; Peregrine runs models with one picture input "
                      "[batch, 3, height, width]",
                      model_.inputs.size()));
    }
    const Shape& shape = model_.inputs[0].shape;
    if (shape[1] != 3 && shape[1] != -1) {
      refuse(
          fmt::format("its input is {}, not [batch, 3, height, width]; export it with channels "
                      "first and RGB input",
                      to_string(shape)));
    }
    const bool fixed = shape[2] > 0 && shape[3] > 0;
    if (fixed) {
      spec_.input.height = static_cast<int>(shape[2]);
      spec_.input.width = static_cast<int>(shape[3]);
      if (overrides_.image_size > 0 && (overrides_.image_size != spec_.input.height ||
                                        overrides_.image_size != spec_.input.width)) {
        refuse(fmt::format("its input is fixed at {}x{} (width x height); drop --imgsz {}",
                           shape[3], shape[2], overrides_.image_size));
      }
    } else if (overrides_.image_size > 0) {
      spec_.input.height = spec_.input.width = overrides_.image_size;
    } else if (metadata_.image_size.size() == 2) {
      spec_.input.height = metadata_.image_size[0];
      spec_.input.width = metadata_.image_size[1];
    } else {
      refuse(
          fmt::format("its input {} leaves height and width open and its metadata has no "
                      "'imgsz'; say the size with --imgsz, such as --imgsz 640",
                      to_string(shape)));
    }
    // A fixed size on one side only: the other comes from outside.
    if (shape[2] > 0) spec_.input.height = static_cast<int>(shape[2]);
    if (shape[3] > 0) spec_.input.width = static_cast<int>(shape[3]);
  }

  void read_names() {
    if (!overrides_.labels.empty()) {
      names_ = overrides_.labels;
      names_from_ = "--labels";
    } else if (metadata_.names_unreadable) {
      refuse("its metadata 'names' is not a list of class names; supply them with --labels FILE");
    } else {
      names_ = metadata_.names;
      names_from_ = "the metadata";
    }
  }

  std::optional<Task> metadata_task() const {
    if (metadata_.task.empty()) return std::nullopt;
    for (const Task task : {Task::kDetect, Task::kSegment, Task::kPose, Task::kObb, Task::kClassify,
                            Task::kEmbed, Task::kDepth}) {
      if (metadata_.task == to_string(task)) return task;
    }
    refuse(
        fmt::format("its metadata says task '{}', which Peregrine does not know; if the outputs "
                    "are those of a known task, name it with --task",
                    metadata_.task));
  }

  // The main output is the first of 3 dimensions, else the first of 2, else the first; prototypes
  // are the first of 4 with room for a picture. YOLOv5 exports carry raw maps of 5 dimensions too.
  void find_outputs() {
    if (model_.outputs.empty()) refuse("it has no outputs");
    const auto first_of_rank = [&](std::size_t rank) {
      for (std::size_t i = 0; i < model_.outputs.size(); ++i) {
        if (model_.outputs[i].shape.size() == rank) return static_cast<int>(i);
      }
      return -1;
    };
    main_ = first_of_rank(3);
    if (main_ >= 0) {
      spec_.prototypes_output = first_of_rank(4);
    } else {
      main_ = std::max(first_of_rank(2), 0);
    }
  }

  const Shape& main_shape() const { return model_.outputs[static_cast<std::size_t>(main_)].shape; }

  // Models that people will try, whose outputs could be mistaken for a YOLO's.
  void refuse_foreign(const Shape& shape) const {
    int rank_three = 0;
    bool boxes_alone = false;
    for (const TensorSpec& output : model_.outputs) {
      if (output.shape.size() != 3) continue;
      ++rank_three;
      boxes_alone = boxes_alone || output.shape[2] == 4;
    }
    if (rank_three > 1 && boxes_alone) {
      refuse(
          "it looks like DETR or another model with logits and boxes apart, which this version "
          "does not decode; models with a YOLO head (v5, v8 to v12) work");
    }
    const bool whole_picture = shape[1] == spec_.input.height && shape[2] == spec_.input.width;
    if (wanted_ == Task::kDepth || (!wanted_ && whole_picture)) {
      refuse("it looks like a depth model, which this version does not decode");
    }
  }

  // --- classifiers and embedding models: [batch, n] ---

  void identify_flat(std::int64_t features) {
    const bool square = spec_.input.width == spec_.input.height;
    const bool upright = spec_.input.height == 2 * spec_.input.width;
    if (!wanted_) {
      if (!names_.empty() || features == 1000) {
        wanted_ = Task::kClassify;
        spec_.reason = names_.empty() ? "1000 outputs, as ImageNet classifiers have"
                                      : "one row of scores, and class names from " + names_from_;
      } else if (upright) {
        wanted_ = Task::kEmbed;
        spec_.reason = "one row of features from an upright 2:1 input, as ReID models have";
      } else if (square && features == 512) {
        wanted_ = Task::kEmbed;
        spec_.reason = "512 features from a square input, as CLIP's image tower has";
      } else {
        refuse(
            "one row of numbers may be class scores or an embedding; say --task classify (with "
            "--labels FILE for names) or --task embed");
      }
    } else {
      spec_.reason = said_by() + " and one row of outputs";
    }
    spec_.task = *wanted_;
    if (spec_.task == Task::kClassify) {
      spec_.head = Head::kClassify;
      spec_.class_count = static_cast<int>(features > 0 ? features : std::ssize(names_));
      if (spec_.class_count == 0) {
        refuse("how many classes it has is unknown; supply their names with --labels FILE");
      }
      spec_.input.fit = InputSpec::Fit::kCenterCrop;
      // YOLO's own classifiers take plain RGB / 255 and the whole shorter side.
      if (metadata_.task != "classify") {
        spec_.input.crop = 0.875f;
        normalise(kImageNetMean, kImageNetStd);
      }
    } else if (spec_.task == Task::kEmbed) {
      spec_.head = Head::kEmbed;
      names_.clear();
      if (square) {
        spec_.input.fit = InputSpec::Fit::kCenterCrop;
        normalise(kClipMean, kClipStd);
      } else {
        spec_.input.fit = InputSpec::Fit::kStretch;
        normalise(kImageNetMean, kImageNetStd);
      }
    } else {
      refuse(
          fmt::format("{} says {}, but an output of 2 dimensions fits only --task classify or "
                      "--task embed",
                      said_by(), to_string(spec_.task)));
    }
  }

  void normalise(const float (&mean)[3], const float (&deviation)[3]) {
    std::copy_n(mean, 3, spec_.input.mean);
    std::copy_n(deviation, 3, spec_.input.std);
  }

  // --- detectors: [batch, channels, anchors] or [batch, anchors, channels] ---

  std::int64_t cells(std::initializer_list<int> strides) const {
    std::int64_t count = 0;
    for (const int stride : strides) {
      count += std::int64_t{(spec_.input.height + stride - 1) / stride} *
               ((spec_.input.width + stride - 1) / stride);
    }
    return count;
  }

  bool is_cell_count(std::int64_t count, int anchors_a_cell) const {
    return count == anchors_a_cell * cells({8, 16, 32}) ||
           count == anchors_a_cell * cells({8, 16, 32, 64}) ||
           count == anchors_a_cell * cells({4, 8, 16, 32});
  }

  void choose_head(std::int64_t rows, std::int64_t columns) {
    constexpr std::int64_t kMostEndToEnd = 1000;
    if (metadata_.end_to_end) {
      spec_.head = Head::kYoloV10;
      spec_.reason += "suppressed in the graph, says the metadata";
    } else if (rows < 0 || columns < 0) {
      spec_.head = Head::kYoloV8;
      spec_.reason += "output shape unknown: taken as the layout of v8 and later";
    } else if (is_cell_count(columns, 1) || rows < columns) {
      spec_.head = Head::kYoloV8;
      spec_.reason +=
          fmt::format("[{}, {}] is channels by anchors, as v8 and later have", rows, columns);
    } else if (is_cell_count(rows, 3)) {
      spec_.head = Head::kYoloV5;
      spec_.reason += fmt::format("{} anchors are three a cell, as v5 has", rows);
    } else if (is_cell_count(rows, 1)) {
      refuse(
          "its output has one row an anchor (YOLOX, or a transposed YOLOv8), which this version "
          "does not decode; export a YOLOv8 without transposing its output");
    } else if (rows <= kMostEndToEnd && columns >= 6) {
      spec_.head = Head::kYoloV10;
      spec_.reason += fmt::format("{} rows of box, score and class, already suppressed", rows);
    } else {
      refuse(fmt::format("{} rows fit no YOLO head for an input of {}x{} (width x height)", rows,
                         spec_.input.width, spec_.input.height));
    }
  }

  void identify_boxes(std::int64_t rows, std::int64_t columns) {
    if (wanted_) spec_.reason = said_by() + "; ";
    choose_head(rows, columns);
    const std::int64_t channels = spec_.head == Head::kYoloV8 ? rows : columns;
    const std::int64_t fixed = spec_.head == Head::kYoloV8   ? 4
                               : spec_.head == Head::kYoloV5 ? 5
                                                             : 6;
    spec_.class_count = static_cast<int>(names_.size());
    if (spec_.prototypes_output >= 0) {
      const Shape& shape = model_.outputs[static_cast<std::size_t>(spec_.prototypes_output)].shape;
      spec_.mask_coefficients = static_cast<int>(std::max<std::int64_t>(shape[1], 0));
    }
    if (!wanted_) wanted_ = guess_task(channels, fixed);
    spec_.task = *wanted_;
    if (spec_.task != Task::kSegment) {
      spec_.prototypes_output = -1;
      spec_.mask_coefficients = 0;
    }
    const std::int64_t extra = extra_channels(channels, fixed);
    if (channels < 0) {
      if (spec_.class_count == 0) {
        refuse(
            "neither its shape nor its metadata says how many classes it has; supply their "
            "names with --labels FILE");
      }
      return;
    }
    count_classes(channels - fixed - extra, channels);
  }

  // Without a task from outside: prototypes mean masks; channels beyond the named classes are an
  // angle or keypoints; 56 channels are COCO's pose layout; all else is a detector.
  Task guess_task(std::int64_t channels, std::int64_t fixed) {
    if (spec_.prototypes_output >= 0) {
      spec_.reason += "; an output of mask prototypes";
      return Task::kSegment;
    }
    if (channels < 0) {
      refuse(
          "neither its metadata nor its shapes say what it does; say it with --task detect, "
          "segment, pose or obb, and the class names with --labels FILE");
    }
    const std::int64_t classes = spec_.head == Head::kYoloV10 ? 0 : std::ssize(names_);
    const std::int64_t extra = channels - fixed - classes;
    const bool counted = spec_.head == Head::kYoloV10 || classes > 0;
    if (counted && extra == 1) {
      spec_.reason += "; one channel beyond the classes is an angle";
      return Task::kObb;
    }
    if (counted && extra >= 6 && extra % 3 == 0) {
      spec_.reason += fmt::format("; {} channels beyond the classes are keypoints", extra);
      return Task::kPose;
    }
    if (!counted && spec_.head == Head::kYoloV8 && channels == 4 + 1 + 17 * 3) {
      spec_.reason += "; 56 channels are one class and COCO's 17 keypoints";
      return Task::kPose;
    }
    return Task::kDetect;
  }

  // Channels after box and class scores, by task; sets the keypoint layout.
  std::int64_t extra_channels(std::int64_t channels, std::int64_t fixed) {
    switch (spec_.task) {
      case Task::kDetect: return 0;
      case Task::kObb:
        if (spec_.head == Head::kYoloV5) refuse("YOLOv5 layouts carry no angle; drop --task obb");
        return 1;
      case Task::kSegment:
        if (spec_.mask_coefficients == 0) {
          refuse(
              fmt::format("{} says segment, but no output holds mask prototypes "
                          "[batch, coefficients, height, width]; say --task detect",
                          said_by()));
        }
        return spec_.mask_coefficients;
      case Task::kPose: {
        spec_.keypoint_count = 17;
        spec_.keypoint_values = 3;
        const std::int64_t classes = spec_.head == Head::kYoloV10 ? 0 : std::ssize(names_);
        const std::int64_t beyond = channels - fixed - classes;
        const bool counted = channels > 0 && (spec_.head == Head::kYoloV10 || classes > 0);
        if (metadata_.keypoint_shape.size() == 2) {
          spec_.keypoint_count = metadata_.keypoint_shape[0];
          spec_.keypoint_values = metadata_.keypoint_shape[1];
        } else if (counted && beyond > 0 && beyond % 3 == 0) {
          spec_.keypoint_count = static_cast<int>(beyond / 3);
        }
        if (spec_.keypoint_count < 1 || spec_.keypoint_values < 2 || spec_.keypoint_values > 3) {
          refuse("its metadata 'kpt_shape' is not [keypoints, 2 or 3]");
        }
        return std::int64_t{spec_.keypoint_count} * spec_.keypoint_values;
      }
      default:
        refuse(
            fmt::format("{} says {}, but an output of 3 dimensions fits only --task detect, "
                        "segment, pose or obb",
                        said_by(), to_string(spec_.task)));
    }
  }

  // `classes` is what the shape leaves for class scores (none in an end-to-end head).
  void count_classes(std::int64_t classes, std::int64_t channels) {
    if (spec_.head == Head::kYoloV10) {
      if (classes != 0) {
        refuse(fmt::format("{} values an object do not fit task {}; name the right one with --task",
                           channels, to_string(spec_.task)));
      }
      if (names_.empty()) {
        refuse(
            "an end-to-end head does not say how many classes it has; supply their names with "
            "--labels FILE");
      }
      return;
    }
    if (classes < 1) {
      refuse(fmt::format("{} channels are too few for task {}; name the right one with --task",
                         channels, to_string(spec_.task)));
    }
    if (!names_.empty() && std::ssize(names_) != classes) {
      refuse(
          fmt::format("as task {} it has {} classes, but {} names {}; supply the right names "
                      "with --labels FILE, or the right task with --task",
                      to_string(spec_.task), classes, names_from_, names_.size()));
    }
    spec_.class_count = static_cast<int>(classes);
  }

  std::string said_by() const { return overrides_.task ? "--task" : "the metadata"; }

  void name_classes() {
    spec_.labels = std::move(names_);
    if (spec_.task == Task::kClassify && !spec_.labels.empty() &&
        std::ssize(spec_.labels) != spec_.class_count) {
      refuse(
          fmt::format("it has {} classes, but {} names {}; supply the right names with "
                      "--labels FILE",
                      spec_.class_count, names_from_, spec_.labels.size()));
    }
    for (int i = static_cast<int>(spec_.labels.size()); i < spec_.class_count; ++i) {
      spec_.labels.push_back(fmt::format("class {}", i));
    }
  }

  const ModelInfo& model_;
  const TaskOverrides& overrides_;
  const ExportMetadata metadata_;
  std::vector<std::string> names_;
  std::string names_from_;
  std::optional<Task> wanted_;
  int main_ = 0;
  TaskSpec spec_;
};

}  // namespace

TaskSpec identify_task(const ModelInfo& model, const TaskOverrides& overrides) {
  return Identifier(model, overrides).identify();
}

}  // namespace peregrine::vision
