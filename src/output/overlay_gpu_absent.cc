// SPDX-License-Identifier: Apache-2.0
// What src/output has for GPUs, in a build without CUDA.
#include "output/overlay_cuda.h"
#include "peregrine/error.h"

namespace peregrine::output {

class GpuOverlay::Impl {};

GpuOverlay::GpuOverlay(const std::vector<std::string>&) {
  throw Error(ErrorCode::kGpu,
              "this build of Peregrine has no CUDA: build it where a CUDA 13 toolkit is, or run "
              "with --device cpu");
}
GpuOverlay::~GpuOverlay() = default;
void GpuOverlay::draw(const Frame&, const FrameResult&, const DevicePicture&, StreamHandle) {}

}  // namespace peregrine::output
