// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "peregrine/frame.h"

namespace peregrine::output {

/// Writes a host picture as an 8-bit RGB PNG, complete or not at all. YUV is converted by the
/// frame's matrix and range, halved chroma repeated. Throws `Error(kOutput)` naming the path,
/// `Error(kInvalidArgument)` for a device picture or one without pixels.
void write_png(const std::string& path, const Frame& frame);

/// Writes `levels`, row-major [height, width], as a 16-bit grey PNG, complete or not at all. Throws
/// `Error(kOutput)` naming the path, `Error(kInvalidArgument)` for another number of levels.
void write_png16(const std::string& path, int width, int height,
                 std::span<const std::uint16_t> levels);

}  // namespace peregrine::output
