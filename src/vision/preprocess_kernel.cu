// SPDX-License-Identifier: Apache-2.0
#include "vision/preprocess_kernel.h"

#include <algorithm>

#include "engine/cuda/kernels/launch.h"
#include "vision/preprocess_pixels.h"

namespace peregrine::vision {
namespace {

// Three blocks a multiprocessor: their 80 registers a thread hold the samples of its pixels. Four
// blocks were slower (1080p NV12 on an H200: 4.9 beside 4.2 us), two pixels a thread no faster.
template <typename Element, int kCapacity>
__global__ void __launch_bounds__(kLanes* kRows, 3)
    preprocess_kernel(const __grid_constant__ PreprocessBatch<kCapacity> batch) {
  const auto picture = static_cast<int>(blockIdx.z);
  write_pixels<Element>(batch.target, batch.jobs[picture], picture,
                        static_cast<int>(blockIdx.y * kRows + threadIdx.y),
                        static_cast<int>(blockIdx.x * (kLanes * kPixels) + threadIdx.x));
}

template <int kCapacity>
void launch_batch(const PreprocessTarget& target, std::span<const PictureJob> jobs,
                  cudaStream_t stream) {
  PreprocessBatch<kCapacity> batch{.target = target, .jobs = {}};
  std::copy(jobs.begin(), jobs.end(), batch.jobs);
  const auto blocks = [](int size, int of) {
    return static_cast<unsigned>(cuda::ceil_div(size, of));
  };
  const void* const kernel =
      target.half ? reinterpret_cast<const void*>(preprocess_kernel<__half, kCapacity>)
                  : reinterpret_cast<const void*>(preprocess_kernel<float, kCapacity>);
  cuda::launch(kernel,
               {.grid = {blocks(target.width, kLanes * kPixels), blocks(target.height, kRows),
                         static_cast<unsigned>(jobs.size())},
                .block = {kLanes, kRows, 1},
                .overlapped = false},
               batch, stream);
}

}  // namespace

void launch_preprocess(const PreprocessTarget& target, std::span<const PictureJob> jobs,
                       cudaStream_t stream) {
  if (jobs.size() <= kFewJobs) return launch_batch<kFewJobs>(target, jobs, stream);
  launch_batch<kJobsPerLaunch>(target, jobs, stream);
}

}  // namespace peregrine::vision
