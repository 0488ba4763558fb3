// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "video/source.h"

namespace peregrine::video {

/// Plays `source` at its own speed, as a camera would: the first `read` starts the clock, and each
/// later one reads nothing before its frame is due, one nominal frame after the last, nor hands the
/// frame out before its true time. A frame that comes late is handed out at once; the clock goes
/// on, and `Frame::received` says when it was due. `info().live` is true, so that a Prefetch drops
/// what its consumer cannot keep up with. Where the frame rate is unknown, frames are read ahead
/// and wait for their time.
std::unique_ptr<Source> make_paced_source(std::unique_ptr<Source> source);

}  // namespace peregrine::video
