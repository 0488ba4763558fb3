// SPDX-License-Identifier: Apache-2.0
// The parts of `identify_task`: one file a family of outputs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vision/export_metadata.h"
#include "vision/task_spec.h"

namespace peregrine::vision {

/// One identification in progress: what is known from outside, and the answer as it grows.
struct Identification {
  const ModelInfo& model;
  const TaskOverrides& overrides;
  const ExportMetadata metadata;
  std::vector<std::string> names;  ///< of the classes, and who says so
  std::string names_from;
  std::optional<Task> wanted;  ///< by the user or the metadata
  TaskSpec spec;

  /// Throws `Error(kTaskUnknown)` with the model, its outputs and `what`.
  [[noreturn]] void refuse(const std::string& what) const;
  /// Who wants `wanted`.
  std::string said_by() const { return overrides.task ? "--task" : "the metadata"; }
  /// Index of the output of that name, or -1.
  int output_named(std::string_view name) const;
  /// Index of the first output of `rank` dimensions, or -1.
  int first_of_rank(std::size_t rank) const;
  const Shape& shape_of(int output) const {
    return model.outputs[static_cast<std::size_t>(output)].shape;
  }
};

/// Boxes and class logits in outputs of their own. False: it is no such model.
bool identify_detr(Identification& id);
/// A map of the picture. False: it is no such model.
bool identify_depth(Identification& id);
/// `output` [batch, n] or [batch, n, 1, 1]: classifiers and embedding models.
void identify_flat(Identification& id, int output);
/// `output` [batch, rows, columns]: YOLO's heads, and RT-DETR's in one output.
void identify_yolo(Identification& id, int output);

}  // namespace peregrine::vision
