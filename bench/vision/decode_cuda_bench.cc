// SPDX-License-Identifier: Apache-2.0
// Microseconds that the decoding of a batch takes on the GPU, the way down of its results included:
//   bench_vision_decode_cuda [--json]
// Each case is first compared with the decoder on the CPU.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/cuda/device_info.h"
#include "core/cuda/handles.h"
#include "core/stopwatch.h"
#include "engine/chain_timer.h"
#include "vision/compare_results.h"
#include "vision/decode_scenes.h"
#include "vision/output_decoder_cuda.h"

namespace {

using namespace peregrine;
using namespace peregrine::vision;

struct Case {
  const char* name;
  Task task;
  Head head;
  int classes, anchors;
  float share;  // of the anchors that see an object with a score of 0 to 1
  int batch;
  float confidence = 0.25f;
  int max_detections = 300;
};

// Shares that leave about 50, 300 and 2,000 of 8,400 anchors above 0.25.
const Case kCases[] = {
    {"detect, 50 candidates", Task::kDetect, Head::kYoloV8, 80, 8400, 0.008f, 1},
    {"detect, 50 candidates", Task::kDetect, Head::kYoloV8, 80, 8400, 0.008f, 8},
    {"detect, 50 candidates", Task::kDetect, Head::kYoloV8, 80, 8400, 0.008f, 32},
    {"detect, 300 candidates", Task::kDetect, Head::kYoloV8, 80, 8400, 0.048f, 1},
    {"detect, 300 candidates", Task::kDetect, Head::kYoloV8, 80, 8400, 0.048f, 8},
    {"detect, 300 candidates", Task::kDetect, Head::kYoloV8, 80, 8400, 0.048f, 32},
    {"detect, 2,000 candidates", Task::kDetect, Head::kYoloV8, 80, 8400, 0.32f, 1},
    {"detect, 2,000 candidates", Task::kDetect, Head::kYoloV8, 80, 8400, 0.32f, 32},
    {"detect, all candidates", Task::kDetect, Head::kYoloV8, 80, 8400, 1, 1, 0.0001f},
    {"detect, all candidates", Task::kDetect, Head::kYoloV8, 80, 8400, 1, 32, 0.0001f},
    {"detect v5, 300 candidates", Task::kDetect, Head::kYoloV5, 80, 25200, 0.016f, 1},
    {"detect v5, 300 candidates", Task::kDetect, Head::kYoloV5, 80, 25200, 0.016f, 8},
    {"detect v10", Task::kDetect, Head::kYoloV10, 80, 300, 0.2f, 1},
    {"detect v10", Task::kDetect, Head::kYoloV10, 80, 300, 0.2f, 32},
    {"pose, 300 candidates", Task::kPose, Head::kYoloV8, 1, 8400, 0.048f, 1},
    {"pose, 300 candidates", Task::kPose, Head::kYoloV8, 1, 8400, 0.048f, 32},
    {"obb, 300 candidates", Task::kObb, Head::kYoloV8, 15, 8400, 0.048f, 1},
    {"obb, 300 candidates", Task::kObb, Head::kYoloV8, 15, 8400, 0.048f, 32},
    {"segment, 20 objects", Task::kSegment, Head::kYoloV8, 80, 8400, 0.048f, 1, 0.25f, 20},
    {"segment, 20 objects", Task::kSegment, Head::kYoloV8, 80, 8400, 0.048f, 32, 0.25f, 20},
    {"rt-detr", Task::kDetect, Head::kRtDetr, 80, 300, 0.002f, 32},
    {"detr, a sigmoid each", Task::kDetect, Head::kDetrSigmoid, 91, 300, 0.002f, 32},
    {"depth", Task::kDepth, Head::kDepth, 0, 0, 0, 8},
    {"classify", Task::kClassify, Head::kClassify, 1000, 0, 0, 32},
    {"embed", Task::kEmbed, Head::kEmbed, 512, 0, 0, 32},
};

Scene scene_of(const Case& test) {
  Scene scene;
  scene.task = test.task;
  scene.head = test.head;
  scene.classes = test.classes;
  scene.anchors = test.anchors;
  scene.batch = test.batch;
  scene.share = test.share;
  // Segmented objects are larger: at 1080p about 190 pixels in each direction, up to 770.
  if (test.task == Task::kSegment) scene.largest = 0.4f;
  if (test.task == Task::kDepth) scene.cells_x = scene.cells_y = 518;
  return scene;
}

struct Times {
  double device = 0;  // scores to results, of replays of a graph: no host in it
  double read = 0;    // results to `FrameResult`s on the host, of a batch
  std::size_t objects = 0;
};

Times measure(const Case& test) {
  const Scene scene = scene_of(test);
  DecodeOptions options;
  options.confidence = test.confidence;
  options.max_detections = test.max_detections;
  const TaskSpec spec = spec_of(scene);
  std::vector<Tensor> outputs = make_outputs(scene);
  std::vector<TensorSpec> specs;
  std::vector<cuda::DeviceBuffer> buffers;
  std::vector<TensorView> views, host_views;
  for (Tensor& output : outputs) {
    specs.push_back({"output", output.dtype(), output.shape()});
    buffers.emplace_back(output.bytes());
    CUDA_CHECK(
        cudaMemcpy(buffers.back().data(), output.data(), output.bytes(), cudaMemcpyHostToDevice));
    views.emplace_back(buffers.back().data(), output.dtype(), output.shape(), Device::cuda());
    host_views.push_back(output.view());
  }
  CUDA_CHECK(cudaDeviceSynchronize());  // pageable memory may still be on its way
  const std::vector<Letterbox> letterboxes(static_cast<std::size_t>(scene.batch),
                                           place(1920, 1080, spec.input));
  const auto decoder = make_gpu_output_decoder(spec, options, specs, scene.batch);
  const cuda::Stream stream = cuda::make_stream();
  decoder->enqueue(views, letterboxes, stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  const auto reference = make_output_decoder(spec, options);
  Times times;
  for (int item = 0; item < scene.batch; ++item) {
    FrameResult got, wanted;
    decoder->read(item, got);
    reference->decode(host_views, item, letterboxes[0], wanted);
    if (const std::string text = difference(got, wanted); !text.empty()) {
      throw std::runtime_error(fmt::format("{}: picture {}: {}", test.name, item, text));
    }
    times.objects += got.detections.size();
  }
  const cuda::GraphExec graph =
      cuda::capture(stream.get(), [&] { decoder->enqueue(views, letterboxes, stream.get()); });
  times.device = bench::microseconds_per_replay(graph, stream, 9, 20);
  constexpr int kReads = 20;
  const Stopwatch watch;
  for (int i = 0; i < kReads; ++i) {
    for (int item = 0; item < scene.batch; ++item) {
      FrameResult result;
      decoder->read(item, result);
    }
  }
  times.read = watch.seconds() * 1e6 / kReads;
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::strcmp(argv[1], "--json") == 0;
  try {
    const std::string gpu = cuda::device_info(0).name;
    if (json) {
      fmt::print("{{\"gpu\": \"{}\", \"cases\": [", gpu);
    } else {
      fmt::print("{}; microseconds a batch\n", gpu);
    }
    const char* separator = "";
    for (const Case& test : kCases) {
      const Times times = measure(test);
      if (json) {
        fmt::print(
            "{}\n  {{\"case\": \"{}\", \"batch\": {}, \"device_us\": {:.2f}, \"read_us\": "
            "{:.2f}, \"objects\": {}}}",
            separator, test.name, test.batch, times.device, times.read, times.objects);
      } else {
        fmt::print("{:26} batch {:2}  device {:8.2f}  read {:8.2f}  {:5} objects\n", test.name,
                   test.batch, times.device, times.read, times.objects);
      }
      separator = ",";
      std::fflush(stdout);
    }
    if (json) fmt::print("\n]}}\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
