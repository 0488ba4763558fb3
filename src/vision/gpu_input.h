// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "peregrine/engine.h"
#include "vision/task_spec.h"

namespace peregrine::vision {

/// Makes the engine's GPU the current one and returns its largest batch. Throws
/// `Error(kInvalidShape)` unless the engine is on a GPU, its one input is float32 or float16
/// [batch, 3, height, width] of `input`'s size or the same as half pixels (picture_input.h), and
/// its outputs are float32.
int check_picture_input(const Engine& engine, const InputSpec& input);

}  // namespace peregrine::vision
