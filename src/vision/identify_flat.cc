// SPDX-License-Identifier: Apache-2.0
// Classifiers and embedding models: one row of numbers a picture.
#include <fmt/format.h>

#include "vision/identification.h"

namespace peregrine::vision {
namespace {

constexpr float kImageNetCrop = 0.875f;  // 224 of 256

void guess(Identification& id, int output, std::int64_t features) {
  const InputSpec& input = id.spec.input;
  const bool square = input.width == input.height;
  const std::string& name = id.model.outputs[static_cast<std::size_t>(output)].name;
  if (!id.names.empty() || features == 1000) {
    id.wanted = Task::kClassify;
    id.spec.reason = id.names.empty() ? "1000 outputs, as ImageNet classifiers have"
                                      : "one row of scores, and class names from " + id.names_from;
    return;
  }
  id.wanted = Task::kEmbed;
  if (name.starts_with("image_") || name == "pooler_output") {
    id.spec.reason = "its output '" + name + "' is an embedding by name";
  } else if (input.height == 2 * input.width) {
    id.spec.reason = "one row of features from an upright 2:1 input, as ReID models have";
  } else if (square && features == 512) {
    id.spec.reason = "512 features from a square input, as CLIP's image tower has";
  } else {
    id.refuse(
        "one row of numbers may be class scores or an embedding; say --task classify (with "
        "--labels FILE for names) or --task embed");
  }
}

void identify_classifier(Identification& id, std::int64_t features) {
  TaskSpec& spec = id.spec;
  spec.head = Head::kClassify;
  spec.class_count = static_cast<int>(features > 0 ? features : std::ssize(id.names));
  if (spec.class_count == 0) {
    id.refuse("how many classes it has is unknown; supply their names with --labels FILE");
  }
  spec.input.fit = InputSpec::Fit::kCenterCrop;
  // YOLO's own classifiers take plain RGB / 255 and the whole shorter side.
  if (id.metadata.task == "classify") return;
  spec.input.crop = kImageNetCrop;
  normalize_input(spec.input, Normalization::kImageNet);
}

// A square input is CLIP's: the shorter side resized to it, the middle cut out. (CLIP resizes
// bicubically, the resize here is bilinear: docs/output.md.) Crops of objects are stretched.
void identify_embedder(Identification& id) {
  InputSpec& input = id.spec.input;
  id.spec.head = Head::kEmbed;
  id.names.clear();
  const bool square = input.width == input.height;
  input.fit = square ? InputSpec::Fit::kCenterCrop : InputSpec::Fit::kStretch;
  normalize_input(input, square ? Normalization::kClip : Normalization::kImageNet);
}

}  // namespace

void identify_flat(Identification& id, int output) {
  const std::int64_t features = id.shape_of(output)[1];
  if (id.wanted) {
    id.spec.reason = id.said_by() + " and one row of outputs";
  } else {
    guess(id, output, features);
  }
  id.spec.boxes_output = output;
  id.spec.task = *id.wanted;
  if (id.spec.task == Task::kClassify) {
    identify_classifier(id, features);
  } else if (id.spec.task == Task::kEmbed) {
    identify_embedder(id);
  } else {
    id.refuse(
        fmt::format("{} says {}, but an output of 2 dimensions fits only --task classify or "
                    "--task embed",
                    id.said_by(), to_string(id.spec.task)));
  }
}

}  // namespace peregrine::vision
