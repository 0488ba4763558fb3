// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "model/graph.h"

namespace peregrine::model {

struct InferOptions {
  /// Pictures in a batch: what the symbolic first dimension of every input becomes. 0: the file's
  /// own, which must then be fixed.
  std::int64_t batch = 1;
  /// Height and width of inputs [batch, channels, height, width] whose file leaves them open.
  std::int64_t height = 0, width = 0;
  /// Give results whose length depends on contents the most they can have (see absent_rows.h),
  /// in place of refusing them.
  bool bound_lengths = false;
};

/// Binds the symbolic dimensions, gives every value dtype and full shape, and folds what does not
/// depend on the inputs' contents: constants and the arithmetic on shapes. Dead nodes are removed.
/// Bind other batches on other clones: folding bakes this one in.
///
/// Throws `Error(kInvalidArgument)` when the model's batch is fixed to another number or an open
/// dimension was not given; `Error(kModelInvalid)` when ops contradict shapes;
/// `Error(kModelUnsupported)` when a shape depends on the inputs' contents, or absent rows would
/// count. Names the node. Returns how many nodes were folded away.
int infer(Graph& graph, const InferOptions& options);

/// Folds again after a pass made constants of inputs; shapes must be known already.
int fold_constants(Graph& graph);

}  // namespace peregrine::model
