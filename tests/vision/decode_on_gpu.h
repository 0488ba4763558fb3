// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "compare_results.h"
#include "decode_scenes.h"
#include "engine/cuda/gpu.h"
#include "vision/output_decoder_cuda.h"

namespace peregrine::vision {

inline std::vector<TensorSpec> specs_of(const std::vector<Tensor>& outputs) {
  std::vector<TensorSpec> specs;
  for (const Tensor& output : outputs) {
    TensorSpec spec{fmt::format("output{}", specs.size()), output.dtype(), output.shape()};
    spec.shape[0] = -1;
    specs.push_back(spec);
  }
  return specs;
}

/// The outputs of a batch on the device and their decoder.
class OnGpu {
 public:
  OnGpu(const Scene& scene, const DecodeOptions& options, std::vector<Tensor>& outputs,
        int max_batch)
      : decoder_(make_gpu_output_decoder(spec_of(scene), options, specs_of(outputs), max_batch)) {
    upload(outputs);
  }

  void upload(std::vector<Tensor>& outputs) {
    buffers_.clear();
    views_.clear();
    for (Tensor& output : outputs) {
      buffers_.emplace_back(output.bytes());
      CUDA_CHECK(cudaMemcpy(buffers_.back().data(), output.data(), output.bytes(),
                            cudaMemcpyHostToDevice));
      views_.emplace_back(buffers_.back().data(), output.dtype(), output.shape(), Device::cuda());
    }
    CUDA_CHECK(cudaDeviceSynchronize());  // pageable memory may still be on its way
  }
  void enqueue(std::span<const Letterbox> letterboxes) {
    decoder_->enqueue(views_, letterboxes, stream_.get());
  }
  void wait() { CUDA_CHECK(cudaStreamSynchronize(stream_.get())); }
  FrameResult read(int item) {
    FrameResult result;
    decoder_->read(item, result);
    return result;
  }
  std::vector<TensorView>& views() { return views_; }

 private:
  std::unique_ptr<GpuOutputDecoder> decoder_;
  std::vector<cuda::DeviceBuffer> buffers_;
  std::vector<TensorView> views_;
  cuda::Stream stream_ = cuda::make_stream();
};

// Decodes a scene on both devices and counts what was found. `letterboxes` may be fewer than the
// scene's pictures.
struct Found {
  std::size_t objects = 0, most = 0, masks = 0;
};
inline Found expect_equal(const Scene& scene, const DecodeOptions& options,
                          std::vector<Letterbox> letterboxes = {}, int max_batch = 0) {
  SCOPED_TRACE(fmt::format(
      "task {} head {} classes {} anchors {} batch {} share {} steps {} wild {} seed {}: "
      "confidence {} iou {} max {} classes {}",
      to_string(scene.task), static_cast<int>(scene.head), scene.classes, scene.anchors,
      scene.batch, scene.share, scene.steps, scene.wild, scene.seed, options.confidence,
      options.iou, options.max_detections, options.classes.size()));
  if (letterboxes.empty()) letterboxes = make_letterboxes(scene);
  std::vector<Tensor> outputs = make_outputs(scene);
  OnGpu gpu(scene, options, outputs, max_batch == 0 ? scene.batch : max_batch);
  gpu.enqueue(letterboxes);
  gpu.wait();
  const auto reference = make_output_decoder(spec_of(scene), options);
  std::vector<TensorView> views;
  for (Tensor& output : outputs) views.push_back(output.view());
  Found found;
  for (int item = 0; item < std::ssize(letterboxes); ++item) {
    FrameResult wanted;
    reference->decode(views, item, letterboxes[static_cast<std::size_t>(item)], wanted);
    const std::string text = difference(gpu.read(item), wanted);
    EXPECT_EQ(text, "") << "picture " << item;
    found.objects += wanted.detections.size();
    found.most = std::max(found.most, wanted.detections.size());
    found.masks += wanted.detections.masks.size();
  }
  return found;
}

inline Scene scene_of(Task task, Head head, int anchors, unsigned seed) {
  Scene scene;
  scene.task = task;
  scene.head = head;
  scene.anchors = anchors;
  scene.seed = seed;
  return scene;
}

inline DecodeOptions options_of(unsigned seed) {
  constexpr float kConfidences[] = {0.25f, 0.001f, 0.5f, 0.05f, 0.9f};
  constexpr float kOverlaps[] = {0.7f, 0.3f, 0.45f, 0.9f, 0.0f, 1.0f};
  constexpr int kLimits[] = {300, 1, 7, 64, 65, 128, 1000};
  DecodeOptions options;
  options.confidence = kConfidences[seed % std::size(kConfidences)];
  options.iou = kOverlaps[seed % std::size(kOverlaps)];
  options.max_detections = kLimits[seed % std::size(kLimits)];
  return options;
}

class DecodeOnGpu : public ::testing::Test {
 protected:
  void SetUp() override { PEREGRINE_NEEDS_GPU(); }
};

}  // namespace peregrine::vision
