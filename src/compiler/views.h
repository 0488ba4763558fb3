// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>

#include "model/graph.h"

namespace peregrine::compiler {

/// A value that lives inside another one: positions `offset` to `offset + extent` of its `axis`,
/// the one innermost in memory (channels of pictures, which engines keep NHWC; the last axis of all
/// else): a pointer and a row stride.
struct View {
  model::Value* base = nullptr;  ///< owns memory of its own: never a view itself
  std::int64_t axis = 0;
  std::int64_t offset = 0;  ///< in elements of `axis`
};

/// A nearest-neighbour upsampling by whole factors that needs no memory: its readers read row
/// y / height and column x / width of the source.
struct IndexMap {
  model::Value* source = nullptr;
  std::int64_t height = 1, width = 1;
};

/// Which values need no copy. A node whose output or input is a view reads and writes through the
/// base's stride; Concat, Split and Slice whose operands are all views are no work at all.
struct ViewPlan {
  std::map<const model::Value*, View> views;
  std::map<const model::Value*, IndexMap> upsampled;

  /// The value that owns the memory of `value`.
  const model::Value* owner(const model::Value* value) const;
};

/// Finds them: the inputs of a Concat along channels become views of its output (each value in one
/// place only; graph inputs, outputs and constants stay where they are), the outputs of Split and
/// of Slice with step 1 along channels views of their input. An upsampling becomes an index map
/// when all its readers are in `reads_through`: ops whose kernels can.
ViewPlan plan_views(const model::Graph& graph, const std::vector<model::Op>& reads_through = {});

}  // namespace peregrine::compiler
