// SPDX-License-Identifier: Apache-2.0
// What src/output has for GPUs, in a build without CUDA.
#include "output/annotator.h"
#include "peregrine/error.h"

namespace peregrine::output {

std::unique_ptr<Annotator> make_gpu_annotator(const std::vector<std::string>&) {
  throw Error(ErrorCode::kGpu,
              "this build of Peregrine has no CUDA: build it where a CUDA 13 toolkit is, or run "
              "with --device cpu");
}

}  // namespace peregrine::output
