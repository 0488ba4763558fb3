// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "peregrine/detections.h"

namespace peregrine::vision {

/// Empty when both answers are the same to the last bit; else what differs first. Numbers that are
/// none equal each other.
std::string difference(const FrameResult& got, const FrameResult& wanted);

}  // namespace peregrine::vision
