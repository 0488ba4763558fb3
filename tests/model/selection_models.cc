// SPDX-License-Identifier: Apache-2.0
#include "model/selection_models.h"

#include <cmath>
#include <limits>

namespace peregrine::testing {
namespace {

using model::Ints;
using I = std::int64_t;

model::Attributes axis(I value) { return attributes({{"axis", value}}); }

// "boxes" [1, 40, 4] and "scores" [1, 40, 2] of "x".
void add_predictions(ModelBuilder& model) {
  model.input("x", {1, 6, 40}).ints("parts", {4, 2});
  model.node("Transpose", {"x"}, {"rows"}, attributes({{"perm", Ints{0, 2, 1}}}));
  model.node("Split", {"rows", "parts"}, {"boxes", "scores"}, axis(2));
}

}  // namespace

ModelBuilder padded_detector() {
  ModelBuilder model;
  add_predictions(model);
  const float confidence = 0.3F, iou = 0.5F, apart = 10;
  model.floats("confidence", {}, {&confidence, 1}).floats("iou", {1}, {&iou, 1});
  model.floats("apart", {}, {&apart, 1})
      .ints("zero", {0})
      .ints("four", {4})
      .ints("column", {-1, 1});
  const I first = 0;
  model.constant("first", Tensor::of<I>({&first, 1}, {}));
  const auto without_axis = attributes({{"axes", Ints{2}}, {"keepdims", I{0}}});
  model.node("ReduceMax", {"scores"}, {"best"}, without_axis);
  model.node("ArgMax", {"scores"}, {"class"}, attributes({{"axis", I{2}}, {"keepdims", I{0}}}));
  model.node("Gather", {"boxes", "first"}, {"box"}).node("Gather", {"best", "first"}, {"score"});
  model.node("Gather", {"class", "first"}, {"label"});
  model.node("Greater", {"score", "confidence"}, {"sure"}).node("NonZero", {"sure"}, {"found"});
  model.node("Transpose", {"found"}, {"where"}, attributes({{"perm", Ints{1, 0}}}));
  model.node("GatherND", {"box", "where"}, {"some_boxes"});
  model.node("GatherND", {"score", "where"}, {"some_scores"});
  model.node("GatherND", {"label", "where"}, {"some_labels"});
  // Boxes of a class lie apart from those of another.
  model.node("Shape", {"some_boxes"}, {"shape"}).node("Gather", {"shape", "zero"}, {"count"});
  model.node("Concat", {"count", "four"}, {"expanded"}, axis(0));
  model.node("Cast", {"some_labels"}, {"some_classes"}, attributes({{"to", I{1}}}));
  model.node("Reshape", {"some_classes", "column"}, {"class_column"});
  model.node("Expand", {"class_column", "expanded"}, {"classes"});
  model.node("Mul", {"classes", "apart"}, {"offsets"});
  model.node("Add", {"some_boxes", "offsets"}, {"apart_boxes"});
  model.ints("front", {0}).ints("front_two", {0, 1}).ints("all", {std::numeric_limits<I>::max()});
  model.node("Unsqueeze", {"apart_boxes", "front"}, {"one_boxes"});
  model.node("Unsqueeze", {"some_scores", "front_two"}, {"one_scores"});
  model.node("NonMaxSuppression", {"one_boxes", "one_scores", "all", "iou"}, {"kept"});
  model.ints("third", {2}).ints("one", {1}).ints("ten", {10});
  model.node("Gather", {"kept", "third"}, {"kept_column"}, axis(1));
  model.node("Squeeze", {"kept_column", "one"}, {"kept_boxes"});
  model.node("Slice", {"kept_boxes", "zero", "ten", "zero"}, {"keep"});
  model.node("Gather", {"some_boxes", "keep"}, {"last_boxes"});
  model.node("Gather", {"some_scores", "keep"}, {"last_scores"});
  model.node("Gather", {"some_classes", "keep"}, {"last_classes"});
  model.node("Reshape", {"last_scores", "column"}, {"score_column"});
  model.node("Reshape", {"last_classes", "column"}, {"label_column"});
  model.node("Concat", {"last_boxes", "score_column", "label_column"}, {"rows_kept"}, axis(1));
  model.node("Shape", {"rows_kept"}, {"kept_shape"});
  model.node("Gather", {"kept_shape", "zero"}, {"kept_count"});
  model.node("Sub", {"ten", "kept_count"}, {"missing"}).ints("none", {0, 0});
  model.node("Concat", {"none", "missing", "zero"}, {"pads"}, axis(0));
  model.node("Pad", {"rows_kept", "pads"}, {"ten_rows"});
  model.node("Unsqueeze", {"ten_rows", "front"}, {"y"}).output("y");
  return model;
}

ModelBuilder listed_detector() {
  ModelBuilder model;
  add_predictions(model);
  const float score = 0.3F, iou = 0.5F;
  model.floats("iou", {1}, {&iou, 1}).floats("least", {1}, {&score, 1}).ints("most", {100});
  model.node("Transpose", {"scores"}, {"by_class"}, attributes({{"perm", Ints{0, 2, 1}}}));
  model.node("NonMaxSuppression", {"boxes", "by_class", "most", "iou", "least"}, {"kept"});
  model.ints("image", {0}).ints("class", {1}).ints("box", {2});
  model.ints("image_and_box", {0, 2}).ints("of_scores", {0, 2, 1}).ints("wide", {-1, 1});
  model.node("Gather", {"kept", "image"}, {"images"}, axis(1));
  model.node("Gather", {"kept", "class"}, {"labels"}, axis(1));
  model.node("Gather", {"kept", "image_and_box"}, {"at_box"}, axis(1));
  model.node("Gather", {"kept", "of_scores"}, {"at_score"}, axis(1));
  model.node("GatherND", {"boxes", "at_box"}, {"kept_boxes"});
  model.node("GatherND", {"scores", "at_score"}, {"kept_scores"});
  model.node("Reshape", {"kept_scores", "wide"}, {"score_column"});
  model.node("Cast", {"images"}, {"image_column"}, attributes({{"to", I{1}}}));
  model.node("Cast", {"labels"}, {"label_column"}, attributes({{"to", I{1}}}));
  model.node("Concat", {"image_column", "kept_boxes", "label_column", "score_column"}, {"y"},
             axis(1));
  return model.output("y");
}

Tensor crowded_boxes(std::int64_t count, unsigned seed) {
  const Tensor random = noise({1, 6, count}, seed);
  std::vector<float> values(random.as<float>().begin(), random.as<float>().end());
  const auto at = [&](I row, I box) -> float& {
    return values[static_cast<std::size_t>(row * count + box)];
  };
  for (I box = 0; box < count; ++box) {
    for (const I row : {0, 1}) {
      const float corner = std::abs(at(row, box));
      at(row + 2, box) = corner + 0.5F + 0.2F * std::abs(at(row + 2, box));
      at(row, box) = corner;
    }
    for (const I row : {4, 5}) at(row, box) = 1 / (1 + std::exp(-at(row, box)));
  }
  return Tensor::of<float>(values, {1, 6, count});
}

}  // namespace peregrine::testing
