// SPDX-License-Identifier: Apache-2.0
// What src/vision has for GPUs, in a build without CUDA.
#include "peregrine/error.h"
#include "vision/embedder.h"
#include "vision/predictor.h"

namespace peregrine::vision {
namespace {

[[noreturn]] void no_cuda() {
  throw Error(ErrorCode::kGpu,
              "this build of Peregrine has no CUDA: build it where a CUDA 13 toolkit is, or run "
              "with --device cpu");
}

}  // namespace

std::unique_ptr<Predictor> make_gpu_predictor(std::shared_ptr<const Engine>, const TaskSpec&,
                                              const DecodeOptions&) {
  no_cuda();
}

std::function<std::unique_ptr<Embedder>()> make_gpu_embedders(std::shared_ptr<const Engine>,
                                                              const TaskSpec&) {
  no_cuda();
}

}  // namespace peregrine::vision
