// SPDX-License-Identifier: Apache-2.0
// What every model has in common: its picture input, its names, and who is asked what the outputs
// are.
#include "vision/task_spec.h"

#include <algorithm>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/identification.h"

namespace peregrine::vision {
namespace {

void refuse_inputs(const Identification& id) {
  const auto& inputs = id.model.inputs;
  std::string others;
  for (std::size_t i = 1; i < inputs.size(); ++i) others += " '" + inputs[i].name + "'";
  if (others.find("mask") != std::string::npos) {
    id.refuse(
        fmt::format("beside the picture it takes{}; export it for pictures of one size, so "
                    "that the mask is part of the graph",
                    others));
  }
  if (others.find("size") != std::string::npos) {
    id.refuse(
        fmt::format("beside the picture it takes{}, so it brings boxes back to the source "
                    "itself; export it without its post-processor (RT-DETR: outputs logits "
                    "and boxes)",
                    others));
  }
  id.refuse(
      fmt::format("it takes {} inputs; Peregrine runs models with one picture input "
                  "[batch, 3, height, width]",
                  inputs.size()));
}

void read_input(Identification& id) {
  const auto& inputs = id.model.inputs;
  if (inputs.size() != 1 || inputs[0].shape.size() != 4) refuse_inputs(id);
  const Shape& shape = inputs[0].shape;
  if (shape[1] != 3 && shape[1] != -1) {
    id.refuse(
        fmt::format("its input is {}, not [batch, 3, height, width]; export it with channels "
                    "first and RGB input",
                    to_string(shape)));
  }
  InputSpec& input = id.spec.input;
  const int asked = id.overrides.image_size;
  const bool fixed = shape[2] > 0 && shape[3] > 0;
  if (fixed) {
    if (asked > 0 && (asked != shape[2] || asked != shape[3])) {
      id.refuse(fmt::format("its input is fixed at {}x{} (width x height); drop --imgsz {}",
                            shape[3], shape[2], asked));
    }
  } else if (asked > 0) {
    input.height = input.width = asked;
  } else if (id.metadata.image_size.size() == 2) {
    input.height = id.metadata.image_size[0];
    input.width = id.metadata.image_size[1];
  } else {
    id.refuse(
        fmt::format("its input {} leaves height and width open and its metadata has no "
                    "'imgsz'; say the size with --imgsz, such as --imgsz 640",
                    to_string(shape)));
  }
  // A fixed size on one side only: the other comes from outside.
  if (shape[2] > 0) input.height = static_cast<int>(shape[2]);
  if (shape[3] > 0) input.width = static_cast<int>(shape[3]);
}

void read_names(Identification& id) {
  if (!id.overrides.labels.empty()) {
    id.names = id.overrides.labels;
    id.names_from = "--labels";
  } else if (id.metadata.names_unreadable) {
    id.refuse("its metadata 'names' is not a list of class names; supply them with --labels FILE");
  } else {
    id.names = id.metadata.names;
    id.names_from = "the metadata";
  }
}

std::optional<Task> metadata_task(const Identification& id) {
  if (id.metadata.task.empty()) return std::nullopt;
  for (const Task task : {Task::kDetect, Task::kSegment, Task::kPose, Task::kObb, Task::kClassify,
                          Task::kEmbed, Task::kDepth}) {
    if (id.metadata.task == to_string(task)) return task;
  }
  id.refuse(
      fmt::format("its metadata says task '{}', which Peregrine does not know; if the outputs "
                  "are those of a known task, name it with --task",
                  id.metadata.task));
}

// Exports of transformers give their last layers beside the row that counts.
int pooled_output(const Identification& id) {
  for (const char* name : {"image_embeds", "image_features", "pooler_output"}) {
    const int output = id.output_named(name);
    if (output >= 0 && id.shape_of(output).size() == 2) return output;
  }
  return -1;
}

// The main output is the first of 3 dimensions, else the first of 2, else the first. YOLOv5 exports
// carry raw maps of 5 dimensions too.
int main_output(const Identification& id) {
  const int boxes = id.first_of_rank(3);
  return boxes >= 0 ? boxes : std::max(id.first_of_rank(2), 0);
}

void identify_outputs(Identification& id) {
  if (id.model.outputs.empty()) id.refuse("it has no outputs");
  if (identify_detr(id)) return;
  if (const int pooled = pooled_output(id); pooled >= 0) return identify_flat(id, pooled);
  if (identify_depth(id)) return;
  const int output = main_output(id);
  const Shape& shape = id.shape_of(output);
  const bool flat = shape.size() == 2 || (shape.size() == 4 && shape[2] == 1 && shape[3] == 1);
  if (flat) {
    identify_flat(id, output);
  } else if (shape.size() == 3) {
    identify_yolo(id, output);
  } else {
    id.refuse(
        "no output has the form of a detector, classifier or embedding model (3 or 2 dimensions), "
        "or of a depth map named so; say --task depth if it is one");
  }
}

void name_classes(Identification& id) {
  TaskSpec& spec = id.spec;
  spec.labels = std::move(id.names);
  if (spec.task == Task::kClassify && !spec.labels.empty() &&
      std::ssize(spec.labels) != spec.class_count) {
    id.refuse(
        fmt::format("it has {} classes, but {} names {}; supply the right names with "
                    "--labels FILE",
                    spec.class_count, id.names_from, spec.labels.size()));
  }
  for (int i = static_cast<int>(spec.labels.size()); i < spec.class_count; ++i) {
    spec.labels.push_back(fmt::format("class {}", i));
  }
}

}  // namespace

void Identification::refuse(const std::string& what) const {
  std::string outputs;
  for (const TensorSpec& output : model.outputs) {
    outputs += (outputs.empty() ? "" : ", ") + output.name + " " + to_string(output.shape);
  }
  throw Error(ErrorCode::kTaskUnknown,
              fmt::format("model '{}' (outputs: {}): {}", model.path, outputs, what));
}

int Identification::output_named(std::string_view name) const {
  for (std::size_t i = 0; i < model.outputs.size(); ++i) {
    if (model.outputs[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

int Identification::first_of_rank(std::size_t rank) const {
  for (std::size_t i = 0; i < model.outputs.size(); ++i) {
    if (model.outputs[i].shape.size() == rank) return static_cast<int>(i);
  }
  return -1;
}

void normalize_input(InputSpec& input, Normalization normalization) {
  struct Statistics {
    float mean[3], deviation[3];
  };
  constexpr Statistics kStatistics[] = {
      {{0, 0, 0}, {1, 1, 1}},
      {{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}},
      {{0.48145466f, 0.4578275f, 0.40821073f}, {0.26862954f, 0.26130258f, 0.27577711f}},
  };
  const Statistics& chosen = kStatistics[static_cast<std::size_t>(normalization)];
  std::copy_n(chosen.mean, 3, input.mean);
  std::copy_n(chosen.deviation, 3, input.std);
}

TaskSpec identify_task(const ModelInfo& model, const TaskOverrides& overrides) {
  Identification id{.model = model,
                    .overrides = overrides,
                    .metadata = read_export_metadata(model.metadata),
                    .names = {},
                    .names_from = {},
                    .wanted = {},
                    .spec = {}};
  read_input(id);
  read_names(id);
  id.wanted = overrides.task ? overrides.task : metadata_task(id);
  identify_outputs(id);
  name_classes(id);
  if (overrides.normalization) normalize_input(id.spec.input, *overrides.normalization);
  return std::move(id.spec);
}

}  // namespace peregrine::vision
