// SPDX-License-Identifier: Apache-2.0
#pragma once

extern "C" {
#include <libavutil/hwcontext.h>
}

#include <cuda_runtime_api.h>

#include "video/libav.h"

namespace peregrine::video {

using AvBuffer = std::unique_ptr<AVBufferRef, AvDelete<av_buffer_unref>>;

/// libav's handle of a GPU: CUDA's primary context, which all streams and engines of the process
/// share, and the stream on which libav works. `stream` must outlive it. Throws `Error(kGpu)`,
/// `Error(kOutOfMemory)`.
AvBuffer make_av_cuda_device(int gpu, cudaStream_t stream);

}  // namespace peregrine::video
