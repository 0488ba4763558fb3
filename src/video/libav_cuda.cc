// SPDX-License-Identifier: Apache-2.0
#include "video/libav_cuda.h"

extern "C" {
#include <libavutil/hwcontext_cuda.h>
}

#include <fmt/format.h>

#include "core/cuda/device_info.h"
#include "peregrine/error.h"

namespace peregrine::video {

AvBuffer make_av_cuda_device(int gpu, cudaStream_t stream) {
  auto* context = static_cast<CUcontext>(cuda::driver_context(gpu));
  AvBuffer device(av_hwdevice_ctx_alloc(AV_HWDEVICE_TYPE_CUDA));
  if (!device) out_of_memory("a CUDA device of libav");
  auto* base = reinterpret_cast<AVHWDeviceContext*>(device->data);
  auto* hardware = static_cast<AVCUDADeviceContext*>(base->hwctx);
  hardware->cuda_ctx = context;
  hardware->stream = stream;
  const int result = av_hwdevice_ctx_init(device.get());
  if (result < 0) {
    throw Error(ErrorCode::kGpu,
                fmt::format("libav cannot use cuda:{} ({}); 'peregrine doctor' checks NVDEC", gpu,
                            av_error_text(result)));
  }
  return device;
}

}  // namespace peregrine::video
