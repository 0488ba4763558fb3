// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "peregrine/detections.h"

namespace peregrine::output {

/// Appends COCO's compressed run lengths, the "counts" string that pycocotools reads.
///
/// From the fourth run on a run is stored as its difference to the
/// run two before it, which has the same colour and often nearly the same length. Each value is cut
/// into groups of 5 bits, lowest first, with 0x20 set where another group follows and the sign in
/// bit 0x10 of the last; 48 is added to make it printable.
void append_coco_rle(std::string& text, std::span<const std::uint32_t> counts);
/// A mask as JSON: {"size":[height,width],"counts":"..."}.
void append_json_mask(std::string& text, const Mask& mask);

}  // namespace peregrine::output
