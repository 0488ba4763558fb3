// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>
#include <thread>

#include <gtest/gtest.h>

#include "core/cuda/handles.h"
#include "engine/cuda/gpu.h"
#include "vision/device_pictures.h"
#include "vision/pictures.h"
#include "vision/preprocess_cases.h"
#include "vision/preprocess_cuda.h"

namespace peregrine::vision {
namespace {

std::vector<float> run(const PreprocessCase& one) {
  const cuda::Stream stream = cuda::make_stream();
  const cuda::DeviceBuffer memory(one.elements() * size_of(one.dtype));
  peregrine::testing::poison(memory);
  CUDA_CHECK(cudaDeviceSynchronize());  // the stream does not wait for the legacy stream
  const TensorView out = one.output(memory.data());
  std::vector<Frame> frames;
  for (const Frame& frame : one.frames) frames.push_back(on_device(frame));
  if (one.crops.empty()) {
    std::vector<Letterbox> letterboxes(frames.size());
    preprocess_on_gpu(frames, one.input, out, letterboxes, stream.get());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const Letterbox wanted = letterbox_of(one.job(i));
      EXPECT_EQ(letterboxes[i].scale_x, wanted.scale_x);
      EXPECT_EQ(letterboxes[i].pad_y, wanted.pad_y);
      EXPECT_EQ(letterboxes[i].source_width, frames[i].info.width);
    }
  } else {
    std::vector<Crop> crops;
    for (std::size_t i = 0; i < frames.size(); ++i) crops.push_back({&frames[i], one.crops[i]});
    preprocess_crops_on_gpu(crops, one.input, out, stream.get());
  }
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  return one.dtype == DType::kFloat16 ? peregrine::testing::to_host_from_half(memory)
                                      : peregrine::testing::to_host<float>(memory);
}

class PreprocessOnGpu : public ::testing::Test {
 protected:
  void SetUp() override { PEREGRINE_NEEDS_GPU(); }
};

TEST_F(PreprocessOnGpu, EveryColor) { check_every_color(run); }
TEST_F(PreprocessOnGpu, EverySize) { check_every_size(run); }
TEST_F(PreprocessOnGpu, EveryRatio) { check_every_ratio(run); }
TEST_F(PreprocessOnGpu, MixedBatch) { check_mixed_batch(run); }
TEST_F(PreprocessOnGpu, Crops) { check_crops(run); }
TEST_F(PreprocessOnGpu, AgreesWithCpu) {
  std::printf("largest difference to the CPU: %.3f levels\n", check_against_cpu(run));
}

// The decoder's stream is held up while the reader's is not: only the event orders them.
TEST_F(PreprocessOnGpu, WaitsUntilEachFrameIsReady) {
  const cuda::Stream writer = cuda::make_stream(), reader = cuda::make_stream();
  const cuda::Event events[] = {cuda::make_event(), cuda::make_event()};
  std::vector<Frame> frames;
  for (int i = 0; i < 3; ++i) {
    frames.push_back(on_device(make_picture(PixelFormat::kGray8, 64, 64, 1)));
    frames.back().range = ColorRange::kFull;
  }
  PreprocessCase one = {frames, {}, {}};
  one.input.width = one.input.height = 64;
  const cuda::DeviceBuffer memory(one.elements() * sizeof(float));
  peregrine::testing::poison(memory);
  CUDA_CHECK(cudaDeviceSynchronize());

  const auto hold_up = [](void*) { std::this_thread::sleep_for(std::chrono::milliseconds(50)); };
  const int event_of[] = {0, 1, 1};
  for (int i = 0; i < 3; ++i) {
    Frame& frame = frames[static_cast<std::size_t>(i)];
    CUDA_CHECK(cudaLaunchHostFunc(writer.get(), hold_up, nullptr));
    CUDA_CHECK(cudaMemsetAsync(const_cast<std::uint8_t*>(frame.planes[0].data), 10 * (i + 1),
                               static_cast<std::size_t>(frame.planes[0].stride * 64),
                               writer.get()));
    CUDA_CHECK(cudaEventRecord(events[event_of[i]].get(), writer.get()));
    frame.ready = events[event_of[i]].get();
  }
  std::vector<Letterbox> letterboxes(3);
  preprocess_on_gpu(frames, one.input, one.output(memory.data()), letterboxes, reader.get());
  EXPECT_EQ(cudaStreamQuery(reader.get()), cudaErrorNotReady) << "the host waited";
  CUDA_CHECK(cudaStreamSynchronize(reader.get()));
  const std::vector<float> got = peregrine::testing::to_host<float>(memory);
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i] * 255, 10.0 * static_cast<double>(i / (3 * 64 * 64) + 1), 1e-3) << i;
  }
}

}  // namespace
}  // namespace peregrine::vision
