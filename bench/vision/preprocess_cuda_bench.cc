// SPDX-License-Identifier: Apache-2.0
// Preprocessing on the GPU beside what moving its bytes takes at least. An argument keeps the
// cases whose picture ("nv12 1920x1080") contains it. Prints one JSON object; exit code 1 when an
// answer is wrong. Aims: 1080p NV12 to 640 in under 8 us, in a batch under 6 us a frame.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include <cuda_fp16.h>

#include "bytes_touched.h"
#include "core/cuda/check.h"
#include "core/cuda/device_info.h"
#include "core/cuda/handles.h"
#include "engine/chain_timer.h"
#include "vision/device_pictures.h"
#include "vision/pictures.h"
#include "vision/preprocess_cuda.h"

namespace peregrine::vision {
namespace {

// Pictures used in turn, together larger than the caches: each comes from memory, as after a
// decoder that is some frames ahead. The outputs alternate between two tensors, as the contexts of
// an engine do.
constexpr int kPictures = 32;
constexpr std::size_t kOutputs = 2;

struct Output {
  const char* name;
  DType dtype;
  bool channels_last;
};
constexpr Output kFloatPlanar = {"float32 NCHW", DType::kFloat32, false};
constexpr Output kHalfPlanar = {"float16 NCHW", DType::kFloat16, false};
constexpr Output kHalfChannelsLast = {"float16 NHWC", DType::kFloat16, true};

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "wrong answer, nothing is timed: %s\n", what.c_str());
  std::exit(1);
}

TensorView view_of(const cuda::DeviceBuffer& memory, const Output& output, int pictures,
                   const InputSpec& input) {
  const std::int64_t width = input.width, height = input.height;
  TensorView view(memory.data(), output.dtype, {pictures, 3, height, width}, Device::cuda(0));
  if (output.channels_last) view.strides = {3 * height * width, 1, 3 * width, 3};
  return view;
}

// The first picture of `view` is `wanted` within one level.
void check(const TensorView& view, const std::vector<double>& wanted, const std::string& name) {
  const std::size_t count = wanted.size();
  std::vector<float> got(count);
  if (view.dtype == DType::kFloat16) {
    std::vector<__half> halves(count);
    CUDA_CHECK(cudaMemcpy(halves.data(), view.data, count * 2, cudaMemcpyDeviceToHost));
    for (std::size_t i = 0; i < count; ++i) got[i] = __half2float(halves[i]);
  } else {
    CUDA_CHECK(cudaMemcpy(got.data(), view.data, count * 4, cudaMemcpyDeviceToHost));
  }
  std::size_t i = 0;
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < view.shape[2]; ++y) {
      for (int x = 0; x < view.shape[3]; ++x, ++i) {
        const auto at = static_cast<std::size_t>(c * view.strides[1] + y * view.strides[2] +
                                                 x * view.strides[3]);
        if (!(std::abs(got[at] - wanted[i]) < 1.0 / 255)) fail(name);
      }
    }
  }
}

// Bytes a microsecond that the device's memory can move at best, by its clock and width.
double peak_rate() {
  int kilohertz = 0, bits = 0;
  CUDA_CHECK(cudaDeviceGetAttribute(&kilohertz, cudaDevAttrMemoryClockRate, 0));
  CUDA_CHECK(cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth, 0));
  return 2.0 * kilohertz * 1e3 * bits / 8 / 1e6;
}

struct Bench {
  cuda::Stream stream = cuda::make_stream();
  double bytes_per_us = peak_rate();
  std::string wanted;  // part of a picture's name
  std::vector<std::string> lines;

  bool wants(const std::string& picture) const { return picture.find(wanted) != std::string::npos; }

  // `enqueue(call)` is one of `calls` whose pictures follow each other.
  template <typename Enqueue>
  void time(const std::string& name, int calls, int pictures, std::size_t bytes,
            const Enqueue& enqueue) {
    const cuda::GraphExec graph = cuda::capture(stream.get(), [&] {
      for (int i = 0; i < calls; ++i) enqueue(i);
    });
    const double us = bench::microseconds_per_replay(graph, stream) / calls;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) enqueue(i);
    const std::chrono::duration<double, std::micro> host = std::chrono::steady_clock::now() - start;
    CUDA_CHECK(cudaStreamSynchronize(stream.get()));
    const double floor = static_cast<double>(bytes) / bytes_per_us;
    char line[384];
    std::snprintf(line, sizeof line,
                  R"({"name": "%s", "us": %.2f, "us_a_picture": %.3f, "bytes": %zu, )"
                  R"("gb_per_s": %.0f, "floor_us": %.2f, "of_floor": %.2f, "host_us": %.1f})",
                  name.c_str(), us, us / pictures, bytes, static_cast<double>(bytes) / us / 1e3,
                  floor, us / floor, host.count() / calls);
    lines.push_back(line);
  }
};

void time_frames(Bench& bench, PixelFormat format, int width, int height,
                 const std::vector<Output>& outputs) {
  const std::string picture =
      std::string(to_string(format)) + " " + std::to_string(width) + "x" + std::to_string(height);
  if (!bench.wants(picture)) return;
  const InputSpec input;
  const Frame host = make_picture(format, width, height, 1);
  std::vector<Frame> frames;
  for (int i = 0; i < kPictures; ++i) frames.push_back(on_device(host));
  const ResampleJob job = picture_job(width, height, input);
  const std::vector<double> wanted = resample_reference(host, job);
  std::vector<Letterbox> letterboxes(kPictures);
  for (const Output& output : outputs) {
    for (const int batch : {1, 8, 32}) {
      const std::size_t elements = 3 * static_cast<std::size_t>(input.width * input.height) *
                                   static_cast<std::size_t>(batch);
      std::vector<cuda::DeviceBuffer> memory;
      for (std::size_t i = 0; i < kOutputs; ++i) {
        memory.emplace_back(elements * size_of(output.dtype));
      }
      const auto enqueue = [&](int call) {
        const auto size = static_cast<std::size_t>(batch);
        const auto first = static_cast<std::size_t>(call * batch % kPictures);
        preprocess_on_gpu(
            std::span(frames).subspan(first, size), input,
            view_of(memory[static_cast<std::size_t>(call) % kOutputs], output, batch, input),
            std::span(letterboxes).subspan(first, size), bench.stream.get());
      };
      const std::string name =
          picture + " to 640, " + output.name + ", batch " + std::to_string(batch);
      enqueue(0);
      CUDA_CHECK(cudaStreamSynchronize(bench.stream.get()));
      check(view_of(memory[0], output, batch, input), wanted, name);
      const std::size_t bytes = static_cast<std::size_t>(batch) *
                                peregrine::bench::bytes_touched(host, job, size_of(output.dtype));
      bench.time(name, kPictures / batch * 2, batch, bytes, enqueue);
    }
  }
}

// People of all sizes in eight streams.
void time_crops(Bench& bench, const Output& output) {
  constexpr int kCrops = 100;
  const std::string name = std::string("100 crops of nv12 1920x1080 to 128x256, ") + output.name;
  if (!bench.wants(name)) return;
  InputSpec input;
  input.width = 128;
  input.height = 256;
  input.fit = InputSpec::Fit::kStretch;
  const Frame host = make_picture(PixelFormat::kNv12, 1920, 1080, 1);
  std::vector<Frame> frames;
  for (int i = 0; i < kPictures; ++i) frames.push_back(on_device(host));
  std::mt19937 random(1);
  std::size_t bytes = 0;
  std::vector<Crop> crops;
  for (int i = 0; i < kCrops; ++i) {
    const auto height = static_cast<float>(80 + random() % 500), width = height * 0.4f;
    const auto x = static_cast<float>(random() % 1600), y = static_cast<float>(random() % 480);
    crops.push_back({nullptr, {x, y, x + width, y + height}});
    bytes += peregrine::bench::bytes_touched(host, crop_job(1920, 1080, crops.back().box, input),
                                             size_of(output.dtype));
  }
  const cuda::DeviceBuffer memory(kCrops * 3 * 128 * 256 * size_of(output.dtype));
  const TensorView out = view_of(memory, output, kCrops, input);
  const auto enqueue = [&](int call) {
    for (int i = 0; i < kCrops; ++i) {
      const int frame = (call * 8 + i % 8) % kPictures;
      crops[static_cast<std::size_t>(i)].frame = &frames[static_cast<std::size_t>(frame)];
    }
    preprocess_crops_on_gpu(crops, input, out, bench.stream.get());
  };
  enqueue(0);
  CUDA_CHECK(cudaStreamSynchronize(bench.stream.get()));
  check(out, resample_reference(host, crop_job(1920, 1080, crops[0].box, input)), name);
  bench.time(name, 8, kCrops, bytes, enqueue);
}

int run(const std::string& wanted) {
  Bench bench;
  bench.wanted = wanted;
  const std::vector<Output> floats = {kFloatPlanar};
  time_frames(bench, PixelFormat::kNv12, 1920, 1080,
              {kFloatPlanar, kHalfPlanar, kHalfChannelsLast});
  time_frames(bench, PixelFormat::kNv12, 1280, 720, floats);
  time_frames(bench, PixelFormat::kNv12, 3840, 2160, floats);
  time_frames(bench, PixelFormat::kNv12, 7680, 4320, floats);
  time_frames(bench, PixelFormat::kP010, 1920, 1080, floats);
  time_frames(bench, PixelFormat::kP010, 3840, 2160, floats);
  time_frames(bench, PixelFormat::kP010, 7680, 4320, floats);
  time_frames(bench, PixelFormat::kNv12, 1500, 844, floats);  // no whole step
  time_crops(bench, kFloatPlanar);
  time_crops(bench, kHalfChannelsLast);
  std::printf("{\"machine\": \"%s\", \"peak_gb_per_s\": %.0f, \"results\": [\n",
              cuda::device_info(0).name.c_str(), bench.bytes_per_us / 1e3);
  for (std::size_t i = 0; i < bench.lines.size(); ++i) {
    std::printf("  %s%s\n", bench.lines[i].c_str(), i + 1 < bench.lines.size() ? "," : "");
  }
  std::printf("]}\n");
  return 0;
}

}  // namespace
}  // namespace peregrine::vision

int main(int count, char** arguments) {
  std::string why;
  if (peregrine::cuda::device_count(&why) == 0) {
    std::fprintf(stderr, "this benchmark needs a GPU: %s\n", why.c_str());
    return 1;
  }
  return peregrine::vision::run(count > 1 ? arguments[1] : "");
}
