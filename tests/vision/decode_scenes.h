// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "vision/output_decoder.h"

namespace peregrine::vision {

/// What a model's raw outputs look like.
struct Scene {
  Task task = Task::kDetect;
  Head head = Head::kYoloV8;
  int classes = 80;    ///< of classification and embeddings: numbers a picture
  int anchors = 8400;  ///< DETR: queries
  int batch = 1;
  float share = 0.01f;   ///< of the anchors that see an object; the others score below 0.05
  int steps = 0;         ///< scores are multiples of 1 / steps, so that many tie; 0: they are not
  float spread = 40;     ///< objects lie around so many places in each direction
  float largest = 0.2f;  ///< side of the largest object, as a share of the input's
  bool wild = false;     ///< numbers that are none, infinities and zeros of both signs among them
  int keypoints = 17, keypoint_values = 3;
  int coefficients = 32, cells_x = 160, cells_y = 160;
  int input_width = 640, input_height = 640;
  unsigned seed = 1;
};

TaskSpec spec_of(const Scene& scene);
/// Host tensors in the order of the engine's outputs.
std::vector<Tensor> make_outputs(const Scene& scene);
/// Pictures of many sizes: upright, wide, tiny and large.
std::vector<Letterbox> make_letterboxes(const Scene& scene);

}  // namespace peregrine::vision
