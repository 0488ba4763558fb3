// SPDX-License-Identifier: Apache-2.0
#include "peregrine/error.h"
#include "video/gpu_decode.h"

namespace peregrine::video {

std::unique_ptr<GpuDecode> make_gpu_decode(int, int, const DecoderNeed& need) {
  throw Error(ErrorCode::kGpu, "'" + need.name +
                                   "' cannot be decoded on a GPU: this build of Peregrine has no "
                                   "CUDA. Build it where a CUDA 13 toolkit is, or run with "
                                   "--device cpu");
}

}  // namespace peregrine::video
