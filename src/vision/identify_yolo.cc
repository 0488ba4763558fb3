// SPDX-License-Identifier: Apache-2.0
// YOLO's heads by metadata and shapes: which way round the output lies, and what its channels are.
#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>

#include "vision/identification.h"

namespace peregrine::vision {
namespace {

constexpr std::int64_t kMostEndToEnd = 1000;  // objects that a graph gives itself

class YoloIdentifier {
 public:
  explicit YoloIdentifier(Identification& id) : id_(id), spec_(id.spec) {}

  // `rows` and `columns`: channels by anchors, or anchors by channels.
  void identify(std::int64_t rows, std::int64_t columns) {
    spec_.prototypes_output = id_.first_of_rank(4);
    if (id_.wanted) spec_.reason = id_.said_by() + "; ";
    choose_head(rows, columns);
    const std::int64_t channels = spec_.head == Head::kYoloV8 ? rows : columns;
    const std::int64_t fixed = spec_.head == Head::kYoloV5    ? 5
                               : spec_.head == Head::kYoloV10 ? 6
                                                              : 4;
    spec_.class_count = static_cast<int>(id_.names.size());
    if (spec_.prototypes_output >= 0) {
      const Shape& shape = id_.shape_of(spec_.prototypes_output);
      spec_.mask_coefficients = static_cast<int>(std::max<std::int64_t>(shape[1], 0));
    }
    if (!id_.wanted) id_.wanted = guess_task(channels, fixed);
    spec_.task = *id_.wanted;
    if (spec_.task != Task::kSegment) {
      spec_.prototypes_output = -1;
      spec_.mask_coefficients = 0;
    }
    const std::int64_t extra = extra_channels(channels, fixed);
    if (channels < 0) {
      if (spec_.class_count == 0) {
        id_.refuse(
            "neither its shape nor its metadata says how many classes it has; supply their "
            "names with --labels FILE");
      }
      return;
    }
    count_classes(channels - fixed - extra, channels);
  }

 private:
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

  // By its metadata; else by a column for each named class, where that cannot be a row of box,
  // score, class and perhaps an angle.
  bool is_rt_detr(std::int64_t rows, std::int64_t columns) const {
    if (id_.wanted && id_.wanted != Task::kDetect) return false;
    if (id_.metadata.rt_detr) return rows > 0 && columns > 4;
    return !id_.metadata.end_to_end && rows > 0 && rows <= kMostEndToEnd && columns > 7 &&
           columns < rows && !is_cell_count(columns, 1) && columns == 4 + std::ssize(id_.names);
  }

  void choose_head(std::int64_t rows, std::int64_t columns) {
    if (is_rt_detr(rows, columns)) {
      spec_.head = Head::kRtDetr;
      spec_.input.fit = InputSpec::Fit::kStretch;  // as Ultralytics trains it
      spec_.reason += fmt::format("{} rows of box and class scores, as RT-DETR has", rows);
    } else if (id_.metadata.end_to_end) {
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
      id_.refuse(
          "its output has one row an anchor (YOLOX, or a transposed YOLOv8), which this version "
          "does not decode; export a YOLOv8 without transposing its output");
    } else if (rows <= kMostEndToEnd && columns >= 6) {
      spec_.head = Head::kYoloV10;
      spec_.reason += fmt::format("{} rows of box, score and class, already suppressed", rows);
    } else {
      id_.refuse(fmt::format("{} rows fit no YOLO head for an input of {}x{} (width x height)",
                             rows, spec_.input.width, spec_.input.height));
    }
  }

  // Without a task from outside: prototypes mean masks; channels beyond the named classes are an
  // angle or keypoints; 56 channels are COCO's pose layout; all else is a detector.
  Task guess_task(std::int64_t channels, std::int64_t fixed) {
    if (spec_.head == Head::kRtDetr) return Task::kDetect;
    if (spec_.prototypes_output >= 0) {
      spec_.reason += "; an output of mask prototypes";
      return Task::kSegment;
    }
    if (channels < 0) {
      id_.refuse(
          "neither its metadata nor its shapes say what it does; say it with --task detect, "
          "segment, pose or obb, and the class names with --labels FILE");
    }
    const std::int64_t classes = spec_.head == Head::kYoloV10 ? 0 : std::ssize(id_.names);
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
        if (spec_.head == Head::kYoloV5)
          id_.refuse("YOLOv5 layouts carry no angle; drop --task obb");
        return 1;
      case Task::kSegment:
        if (spec_.mask_coefficients == 0) {
          id_.refuse(
              fmt::format("{} says segment, but no output holds mask prototypes "
                          "[batch, coefficients, height, width]; say --task detect",
                          id_.said_by()));
        }
        return spec_.mask_coefficients;
      case Task::kPose: {
        spec_.keypoint_count = 17;
        spec_.keypoint_values = 3;
        const std::int64_t classes = spec_.head == Head::kYoloV10 ? 0 : std::ssize(id_.names);
        const std::int64_t beyond = channels - fixed - classes;
        const bool counted = channels > 0 && (spec_.head == Head::kYoloV10 || classes > 0);
        if (id_.metadata.keypoint_shape.size() == 2) {
          spec_.keypoint_count = id_.metadata.keypoint_shape[0];
          spec_.keypoint_values = id_.metadata.keypoint_shape[1];
        } else if (counted && beyond > 0 && beyond % 3 == 0) {
          spec_.keypoint_count = static_cast<int>(beyond / 3);
        }
        if (spec_.keypoint_count < 1 || spec_.keypoint_values < 2 || spec_.keypoint_values > 3) {
          id_.refuse("its metadata 'kpt_shape' is not [keypoints, 2 or 3]");
        }
        return std::int64_t{spec_.keypoint_count} * spec_.keypoint_values;
      }
      default:
        id_.refuse(
            fmt::format("{} says {}, but an output of 3 dimensions fits only --task detect, "
                        "segment, pose or obb",
                        id_.said_by(), to_string(spec_.task)));
    }
  }

  // `classes` is what the shape leaves for class scores (none in an end-to-end head).
  void count_classes(std::int64_t classes, std::int64_t channels) {
    if (spec_.head == Head::kYoloV10) {
      if (classes != 0) {
        id_.refuse(
            fmt::format("{} values an object do not fit task {}; name the right one with --task",
                        channels, to_string(spec_.task)));
      }
      if (id_.names.empty()) {
        id_.refuse(
            "an end-to-end head does not say how many classes it has; supply their names with "
            "--labels FILE");
      }
      return;
    }
    if (classes < 1) {
      id_.refuse(fmt::format("{} channels are too few for task {}; name the right one with --task",
                             channels, to_string(spec_.task)));
    }
    if (!id_.names.empty() && std::ssize(id_.names) != classes) {
      id_.refuse(
          fmt::format("as task {} it has {} classes, but {} names {}; supply the right names "
                      "with --labels FILE, or the right task with --task",
                      to_string(spec_.task), classes, id_.names_from, id_.names.size()));
    }
    spec_.class_count = static_cast<int>(classes);
  }

  Identification& id_;
  TaskSpec& spec_;
};

}  // namespace

void identify_yolo(Identification& id, int output) {
  const Shape& shape = id.shape_of(output);
  id.spec.boxes_output = output;
  YoloIdentifier(id).identify(shape[1], shape[2]);
}

}  // namespace peregrine::vision
