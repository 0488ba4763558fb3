// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "peregrine/engine.h"
#include "peregrine/frame.h"
#include "vision/letterbox.h"

namespace peregrine::vision {

/// `preprocess` of letterbox.h for a batch of device frames, one kernel for all of them: each frame
/// may have a size, pitch, format (any `PixelFormat`), matrix and range of its own. The same pixels
/// as the double-precision reference within 1/255 + rounding.
///
/// `out` is device memory [frames, 3, height, width] of `input`'s size, float32 or float16, with
/// any strides (planar, or channels last as an engine may want it), one picture a frame.
/// `letterboxes`, one a frame, is filled before the call returns. The kernel waits on the device
/// for each frame's `ready` event; the host waits for nothing. The frames' memory must live until
/// what was enqueued has run. Nothing is allocated and nothing crosses the bus. Throws
/// `Error(kInvalidArgument)` for a host frame or counts that differ, `Error(kInvalidShape)` for
/// another `out`, `Error(kGpu)` when the launch fails.
void preprocess_on_gpu(std::span<const Frame> frames, const InputSpec& input, const TensorView& out,
                       std::span<Letterbox> letterboxes, StreamHandle stream);

/// Part of a device frame, in source pixels (clipped to it).
struct Crop {
  const Frame* frame = nullptr;
  Box box;
};

/// `preprocess_crop` for crops of any number of device frames, one kernel for all of them:
/// [crops, 3, height, width]. Otherwise as `preprocess_on_gpu`.
void preprocess_crops_on_gpu(std::span<const Crop> crops, const InputSpec& input,
                             const TensorView& out, StreamHandle stream);

}  // namespace peregrine::vision
