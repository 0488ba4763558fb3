// SPDX-License-Identifier: Apache-2.0
#include "decode_scenes.h"

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <utility>

#include "vision/box_layout.h"

namespace peregrine::vision {
namespace {

class Values {
 public:
  explicit Values(unsigned seed) : generator_(seed) {}
  float uniform(float low, float high) {
    return low + (high - low) * static_cast<float>(generator_() >> 8) / 16777216.0f;
  }
  int below(int count) { return static_cast<int>(generator_() % static_cast<unsigned>(count)); }

 private:
  std::mt19937 generator_;
};

// One picture of a box output; `at(anchor, channel)` wherever it lies.
class Picture {
 public:
  Picture(const Scene& scene, const BoxLayout& layout, float* data)
      : scene_(scene), layout_(layout), data_(data) {}
  float& at(int anchor, int channel) {
    return data_[layout_.channels_first ? channel * scene_.anchors + anchor
                                        : anchor * layout_.channels + channel];
  }

 private:
  const Scene& scene_;
  const BoxLayout& layout_;
  float* data_;
};

float score_of(const Scene& scene, Values& values) {
  const float score =
      values.uniform(0, 1) < scene.share ? values.uniform(0, 1) : values.uniform(0, 0.05f);
  if (scene.steps == 0) return score;
  return std::round(score * static_cast<float>(scene.steps)) / static_cast<float>(scene.steps);
}

void fill_scores(const Scene& scene, int anchor, Values& values, Picture& picture) {
  const float score = score_of(scene, values);
  const int class_id = values.below(scene.classes);
  if (scene.head == Head::kYoloV10) {
    picture.at(anchor, 4) = score;
    // Padding rows and classes between two among them.
    picture.at(anchor, 5) = values.below(20) == 0 ? values.uniform(-2, 2.0f * scene.classes)
                                                  : static_cast<float>(class_id);
    return;
  }
  int first = 4;
  if (scene.head == Head::kYoloV5) picture.at(anchor, first++) = score;
  for (int c = 0; c < scene.classes; ++c) {
    picture.at(anchor, first + c) = values.uniform(0, 0.02f);
  }
  const float best = scene.head == Head::kYoloV5 ? values.uniform(0.5f, 1) : score;
  picture.at(anchor, first + class_id) = best;
  if (scene.steps != 0 && values.below(4) == 0) {  // two classes of one score
    picture.at(anchor, first + values.below(scene.classes)) = best;
  }
}

void fill_extras(const Scene& scene, const BoxLayout& layout, int anchor, Values& values,
                 Picture& picture) {
  for (int c = layout.extra_channel; c < layout.channels; ++c) {
    picture.at(anchor, c) = scene.task == Task::kPose
                                ? values.uniform(-50, 1.1f * scene.input_width)
                            : scene.task == Task::kObb ? values.uniform(-0.8f, 2.4f)
                                                       : values.uniform(-1, 1);
  }
}

void plant_wild(const Scene& scene, const BoxLayout& layout, Values& values, Picture& picture) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::array<float, 7> wild{std::nanf(""), kInfinity, -kInfinity, 0.0f, -0.0f, 1e30f, -1e30f};
  for (int i = 0; i < scene.anchors / 4; ++i) {
    picture.at(values.below(scene.anchors), values.below(layout.channels)) =
        wild[static_cast<std::size_t>(values.below(static_cast<int>(wild.size())))];
  }
}

Tensor make_boxes(const Scene& scene) {
  const BoxLayout layout = box_layout(spec_of(scene));
  Tensor output(DType::kFloat32, layout.channels_first
                                     ? Shape{scene.batch, layout.channels, scene.anchors}
                                     : Shape{scene.batch, scene.anchors, layout.channels});
  for (int item = 0; item < scene.batch; ++item) {
    Values values(scene.seed * 1000 + static_cast<unsigned>(item));
    Picture picture(scene, layout,
                    output.as<float>().data() +
                        static_cast<std::ptrdiff_t>(item) * layout.channels * scene.anchors);
    const auto width = static_cast<float>(scene.input_width);
    const auto height = static_cast<float>(scene.input_height);
    for (int anchor = 0; anchor < scene.anchors; ++anchor) {
      // Around a few places, some of them in the padding.
      const float cx = std::floor(values.uniform(0, scene.spread)) / scene.spread * width +
                       values.uniform(-6, 6);
      const float cy = std::floor(values.uniform(0, scene.spread)) / scene.spread * height +
                       values.uniform(-6, 6);
      const float w = values.uniform(8, width * scene.largest);
      const float h = values.uniform(8, height * scene.largest);
      const bool corners = scene.head == Head::kYoloV10 && scene.task != Task::kObb;
      picture.at(anchor, 0) = corners ? cx - w / 2 : cx;
      picture.at(anchor, 1) = corners ? cy - h / 2 : cy;
      picture.at(anchor, 2) = corners ? cx + w / 2 : w;
      picture.at(anchor, 3) = corners ? cy + h / 2 : h;
      fill_scores(scene, anchor, values, picture);
      fill_extras(scene, layout, anchor, values, picture);
    }
    if (scene.wild) plant_wild(scene, layout, values, picture);
  }
  return output;
}

// Fields that change sign every few cells, as those of models do.
Tensor make_prototypes(const Scene& scene) {
  Tensor output(DType::kFloat32, {scene.batch, scene.coefficients, scene.cells_y, scene.cells_x});
  Values values(scene.seed + 77);
  std::size_t at = 0;
  for (int plane = 0; plane < scene.batch * scene.coefficients; ++plane) {
    const float a = values.uniform(0.02f, 0.5f), b = values.uniform(0.02f, 0.5f);
    const float phase = values.uniform(0, 6);
    for (int y = 0; y < scene.cells_y; ++y) {
      for (int x = 0; x < scene.cells_x; ++x) {
        output.as<float>()[at++] =
            std::sin(a * static_cast<float>(x) + b * static_cast<float>(y) + phase) +
            values.uniform(-0.1f, 0.1f);
      }
    }
  }
  return output;
}

bool is_detr(Head head) {
  return head == Head::kDetr || head == Head::kDetrSigmoid || head == Head::kRtDetr;
}

// Of each query's numbers those of the first `columns`: logits, or what is a probability already.
float detr_score(const Scene& scene, Values& values) {
  float score = scene.head == Head::kRtDetr          ? values.uniform(0, 0.3f)
                : values.uniform(0, 1) < scene.share ? values.uniform(-3, 4)
                                                     : values.uniform(-9, -3);
  if (scene.head == Head::kRtDetr && values.uniform(0, 1) < scene.share) {
    score = values.uniform(0, 1);
  }
  if (scene.steps != 0) {
    const auto steps = static_cast<float>(scene.steps);
    score = std::round(score * steps) / steps;
  }
  return score;
}

std::vector<Tensor> make_queries(const Scene& scene) {
  const bool together = scene.head == Head::kRtDetr;
  const int columns = scene.classes + (scene.head == Head::kDetr ? 1 : 0);
  Values values(scene.seed);
  std::vector<float> boxes, scores;
  for (int query = 0; query < scene.batch * scene.anchors; ++query) {
    // Centres and sides as shares of the input; some reach beyond it, a few are nothing.
    for (int side = 0; side < 4; ++side) {
      boxes.push_back(values.below(30) == 0 ? 0.0f : values.uniform(0.01f, 0.99f));
    }
    std::vector<float>& to = together ? boxes : scores;
    for (int c = 0; c < columns; ++c) to.push_back(detr_score(scene, values));
  }
  if (scene.wild) {
    for (std::size_t i = 0; i < scores.size() / 300; ++i) {
      scores[static_cast<std::size_t>(values.below(static_cast<int>(scores.size())))] =
          i % 2 == 0 ? std::nanf("") : std::numeric_limits<float>::infinity();
    }
  }
  std::vector<Tensor> outputs;
  if (!together) {
    outputs.push_back(Tensor::of<float>(scores, {scene.batch, scene.anchors, columns}));
  }
  outputs.push_back(
      Tensor::of<float>(boxes, {scene.batch, scene.anchors, 4 + (together ? columns : 0)}));
  return outputs;
}

Tensor make_depth(const Scene& scene) {
  Tensor output(DType::kFloat32, scene.seed % 2 == 0
                                     ? Shape{scene.batch, scene.cells_y, scene.cells_x}
                                     : Shape{scene.batch, 1, scene.cells_y, scene.cells_x});
  Values values(scene.seed);
  for (float& value : output.as<float>()) value = values.uniform(-3, 40);
  if (scene.wild) {
    const std::span<float> all = output.as<float>();
    for (std::size_t i = 0; i < all.size(); ++i) {
      // The last picture has no finite value.
      const bool last = i >= all.size() - all.size() / static_cast<std::size_t>(scene.batch);
      if (last || values.below(9) == 0) {
        all[i] = i % 2 == 0 ? std::nanf("") : -std::numeric_limits<float>::infinity();
      }
    }
  }
  return output;
}

// Classification and embeddings: `classes` numbers a picture, `share` of the tensors probabilities.
Tensor make_rows(const Scene& scene) {
  Tensor output(DType::kFloat32, {scene.batch, scene.classes});
  Values values(scene.seed);
  for (int item = 0; item < scene.batch; ++item) {
    float* row = output.as<float>().data() + static_cast<std::ptrdiff_t>(item) * scene.classes;
    const bool probabilities = item % 2 == 0;
    float sum = 0;
    for (int i = 0; i < scene.classes; ++i) {
      row[i] = probabilities ? values.uniform(0, 1) : values.uniform(-8, 8);
      if (scene.steps != 0) {
        row[i] =
            std::round(row[i] * static_cast<float>(scene.steps)) / static_cast<float>(scene.steps);
      }
      sum += row[i];
    }
    for (int i = 0; probabilities && i < scene.classes; ++i) row[i] /= sum;
    if (item % 5 == 4) std::fill(row, row + scene.classes, item % 10 == 4 ? 0.0f : -0.0f);
  }
  return output;
}

}  // namespace

TaskSpec spec_of(const Scene& scene) {
  TaskSpec spec;
  spec.task = scene.task;
  spec.head = scene.head;
  spec.class_count = scene.classes;
  spec.input.width = scene.input_width;
  spec.input.height = scene.input_height;
  if (is_detr(scene.head)) {
    spec.scores_output = scene.head == Head::kRtDetr ? -1 : 0;
    spec.boxes_output = scene.head == Head::kRtDetr ? 0 : 1;
  }
  if (is_detr(scene.head) || scene.head == Head::kDepth) {
    spec.input.fit = InputSpec::Fit::kStretch;
  }
  if (scene.task == Task::kPose) {
    spec.keypoint_count = scene.keypoints;
    spec.keypoint_values = scene.keypoint_values;
  }
  if (scene.task == Task::kSegment) {
    spec.mask_coefficients = scene.coefficients;
    spec.prototypes_output = 1;
  }
  return spec;
}

std::vector<Tensor> make_outputs(const Scene& scene) {
  std::vector<Tensor> outputs;
  if (scene.head == Head::kClassify || scene.head == Head::kEmbed) {
    outputs.push_back(make_rows(scene));
    return outputs;
  }
  if (is_detr(scene.head)) return make_queries(scene);
  if (scene.head == Head::kDepth) {
    outputs.push_back(make_depth(scene));
    return outputs;
  }
  outputs.push_back(make_boxes(scene));
  if (scene.task == Task::kSegment) outputs.push_back(make_prototypes(scene));
  return outputs;
}

std::vector<Letterbox> make_letterboxes(const Scene& scene) {
  constexpr std::array<std::pair<int, int>, 6> kSizes{
      {{1920, 1080}, {1280, 720}, {333, 517}, {64, 48}, {2000, 90}, {640, 640}}};
  const InputSpec input = spec_of(scene).input;
  std::vector<Letterbox> letterboxes;
  for (int item = 0; item < scene.batch; ++item) {
    const auto [width, height] =
        kSizes[(static_cast<std::size_t>(item) + scene.seed) % kSizes.size()];
    letterboxes.push_back(place(width, height, input));
  }
  return letterboxes;
}

}  // namespace peregrine::vision
