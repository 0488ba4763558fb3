// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "peregrine/task.h"

namespace peregrine::vision {

/// How a model's outputs are laid out. One decoder a value (`make_output_decoder`).
enum class Head : std::uint8_t {
  kYoloV5,  ///< [batch, anchors, 5 + classes (+ masks)]: cx cy w h objectness classes
  kYoloV8,  ///< [batch, 4 + classes (+ masks | keypoints | angle), anchors]: cx cy w h classes; v8,
            ///< v9, 11, 12
  kYoloV10,   ///< [batch, max_det, 6 (+ ...)]: x1 y1 x2 y2 score class, already suppressed ("end to
              ///< end")
  kClassify,  ///< [batch, classes]
  kEmbed,     ///< [batch, features]
};

/// How pixels become the model's input.
struct InputSpec {
  int width = 640;
  int height = 640;
  /// Letterbox (aspect kept, grey 114 around), plain resize, or shorter side + centre crop.
  enum class Fit : std::uint8_t { kLetterbox, kStretch, kCenterCrop } fit = Fit::kLetterbox;
  /// kCenterCrop: share of the resized shorter side that the crop keeps (ImageNet: 224 of 256).
  float crop = 1;
  float mean[3] = {0, 0, 0};  ///< of R G B in [0, 1], subtracted
  float std[3] = {1, 1, 1};   ///< divides after the mean is taken off
};

/// Everything that preprocess and decode need to know of a model.
struct TaskSpec {
  Task task = Task::kDetect;
  Head head = Head::kYoloV8;
  InputSpec input;
  int class_count = 0;
  std::vector<std::string> labels;  ///< `class_count` names; "class 7" where the model has none
  int keypoint_count = 0;
  int keypoint_values = 3;  ///< 2 (x y) or 3 (x y score)
  int mask_coefficients = 0;
  int boxes_output = 0;        ///< index of the output that holds boxes (or the only one)
  int prototypes_output = -1;  ///< index of the mask prototypes [batch, coefficients, h, w]
  std::string reason;          ///< why this task and head were chosen, for people
};

/// What the user insists on; everything absent is taken from the model.
struct TaskOverrides {
  std::optional<Task> task;
  std::vector<std::string> labels;
  int image_size = 0;  ///< for models whose input height and width are symbolic
};

/// Reads the task off metadata first, then off shapes. Throws `Error(kTaskUnknown)` that says what
/// was seen and which flag (`--task`, `--labels`, `--imgsz`) supplies what is missing.
TaskSpec identify_task(const ModelInfo& model, const TaskOverrides& overrides);

}  // namespace peregrine::vision
