// SPDX-License-Identifier: Apache-2.0
// Depth models: one number for each point of the picture.
#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "vision/identification.h"

namespace peregrine::vision {
namespace {

bool is_map(const Shape& shape) {
  return shape.size() == 3 || (shape.size() == 4 && (shape[1] == 1 || shape[1] == -1));
}

bool is_named_depth(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower.find("depth") != std::string::npos;
}

// By name, else by form: a map as large as the input where nobody says what it is.
int find_map(const Identification& id) {
  int as_large = -1, any = -1;
  for (int i = 0; i < static_cast<int>(id.model.outputs.size()); ++i) {
    const Shape& shape = id.shape_of(i);
    if (!is_map(shape)) continue;
    if (is_named_depth(id.model.outputs[static_cast<std::size_t>(i)].name)) return i;
    if (any < 0) any = i;
    const bool whole =
        shape.size() == 3 && shape[1] == id.spec.input.height && shape[2] == id.spec.input.width;
    if (as_large < 0 && whole) as_large = i;
  }
  return as_large < 0 && id.wanted ? any : as_large;
}

}  // namespace

// The picture is stretched to the input: every cell of the map is a part of the picture, and no
// border of grey is taken for a wall. The networks were trained on the aspect kept, with inputs of
// many sizes; an export has one size.
bool identify_depth(Identification& id) {
  if (id.wanted && id.wanted != Task::kDepth) return false;
  const int output = find_map(id);
  if (output < 0) {
    if (!id.wanted) return false;
    id.refuse(
        fmt::format("{} says depth, but no output is a map [batch, height, width] or "
                    "[batch, 1, height, width]",
                    id.said_by()));
  }
  TaskSpec& spec = id.spec;
  const std::string& name = id.model.outputs[static_cast<std::size_t>(output)].name;
  spec.reason = fmt::format("{}; output '{}' is a map of the picture",
                            id.wanted              ? id.said_by()
                            : is_named_depth(name) ? "depth by name"
                                                   : "a map as large as the input, as depth "
                                                     "models have",
                            name);
  spec.task = Task::kDepth;
  spec.head = Head::kDepth;
  spec.boxes_output = output;
  spec.input.fit = InputSpec::Fit::kStretch;
  normalize_input(spec.input, Normalization::kImageNet);
  id.names.clear();
  return true;
}

}  // namespace peregrine::vision
