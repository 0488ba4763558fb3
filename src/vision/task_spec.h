// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
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
  kYoloV10,  ///< [batch, max_det, 6 (+ ...)]: x1 y1 x2 y2 score class, already suppressed ("end to
             ///< end")
  kDetr,     ///< logits [batch, queries, classes + 1], softmax over them, the last "no object",
             ///< and boxes [batch, queries, 4]: cx cy w h, 0 to 1 of the input
  kDetrSigmoid,  ///< the same without "no object", a sigmoid each: Deformable DETR, RT-DETR,
                 ///< RF-DETR
  kRtDetr,       ///< [batch, queries, 4 + classes]: cx cy w h, 0 to 1 of the input, and scores that
                 ///< are probabilities already (Ultralytics' export of RT-DETR)
  kClassify,     ///< [batch, classes]
  kEmbed,        ///< [batch, features]
  kDepth,        ///< [batch, height, width] or [batch, 1, height, width]
};

/// What is taken off the pixels' R G B, 0 to 1, and divides them: nothing, or the statistics of the
/// pictures that a family of models was trained on.
enum class Normalization : std::uint8_t { kNone, kImageNet, kClip };

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
  int scores_output = -1;      ///< kDetr, kDetrSigmoid: index of the class logits
  int prototypes_output = -1;  ///< index of the mask prototypes [batch, coefficients, h, w]
  std::string reason;          ///< why this task and head were chosen, for people
};

/// What the user insists on; everything absent is taken from the model.
struct TaskOverrides {
  std::optional<Task> task;
  std::vector<std::string> labels;
  int image_size = 0;  ///< for models whose input height and width are symbolic
  std::optional<Normalization> normalization;
};

/// Sets mean and deviation.
void normalize_input(InputSpec& input, Normalization normalization);

/// Reads the task off metadata first, then off shapes. Throws `Error(kTaskUnknown)` that says what
/// was seen and which flag (`--task`, `--labels`, `--imgsz`) supplies what is missing.
TaskSpec identify_task(const ModelInfo& model, const TaskOverrides& overrides);

}  // namespace peregrine::vision
