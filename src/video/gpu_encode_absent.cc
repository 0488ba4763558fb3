// SPDX-License-Identifier: Apache-2.0
#include "video/gpu_encode.h"

namespace peregrine::video {

std::unique_ptr<GpuEncode> make_gpu_encode(int, int, int) { return nullptr; }

}  // namespace peregrine::video
