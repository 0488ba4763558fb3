// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "peregrine/engine.h"
#include "peregrine/frame.h"

namespace peregrine::vision {

/// `frame` on GPU `device`: itself when it is there, else a copy of its planes, whose way up the
/// ledger shows as pictures that the CPU decoded. The copy is enqueued on `stream`; let go of the
/// result when the stream has come past what reads it. Throws `Error(kInvalidArgument)` for a frame
/// without pixels or on another GPU, `Error(kOutOfMemory)`, `Error(kGpu)`.
Frame on_gpu(const Frame& frame, Device device, StreamHandle stream);

/// An 8-bit copy of an NV12 or P010 picture of a GPU, in its pool, rows aligned to 256 bytes; 10
/// bits are rounded. Enqueued on `stream`, on the frame's (current) device, behind its `ready`.
/// Throws `Error(kInvalidArgument)` for another format or a host frame, `Error(kOutOfMemory)`,
/// `Error(kGpu)`.
Frame nv12_copy(const Frame& frame, StreamHandle stream);

/// Brings frames of any GPU to the host for sinks that draw or encode there: a function that
/// returns host frames as they are and others as a copy, 10-bit pictures rounded to 8. It blocks
/// until the copy is there, keeps a stream and pinned memory, and is one thread's. The ledger shows
/// what it does as pictures for drawing and encoding. The function throws `Error(kGpu)` and
/// `Error(kOutOfMemory)`.
std::function<Frame(const Frame&)> make_picture_download();

}  // namespace peregrine::vision
