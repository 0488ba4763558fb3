// SPDX-License-Identifier: Apache-2.0
// Per-frame work around the engine: letterbox beside a memcpy of the bytes it touches, and the way
// from raw scores to suppressed boxes. Prints one JSON object; exit code 1 when an answer is wrong.
// Aims: letterbox of 1080p to 640 within 2x of the estimate, 8,400 x 80 scores under 1 ms.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "bytes_touched.h"
#include "vision/letterbox.h"
#include "vision/nms.h"
#include "vision/output_decoder.h"
#include "vision/pictures.h"

namespace peregrine::vision {
namespace {

constexpr int kRepeats = 200;
// Enough pictures and tensors, used in turn, that each comes from memory: a decoder and an engine
// on other cores have had the caches since.
constexpr int kBuffers = 16;

struct Timing {
  double median = 0, p95 = 0;  // microseconds
};

Timing time_of(const std::function<void(int)>& work) {
  std::vector<double> times;
  for (int i = 0; i < kBuffers; ++i) work(i);
  for (int i = 0; i < kRepeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work(i % kBuffers);
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    times.push_back(took.count());
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[times.size() * 95 / 100]};
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "wrong answer, nothing is timed: %s\n", what.c_str());
  std::exit(1);
}

std::string letterbox_line(const char* name, PixelFormat format, int width, int height) {
  InputSpec input;
  const std::size_t floats = 3 * static_cast<std::size_t>(input.width * input.height);
  std::vector<Frame> frames;
  std::vector<std::vector<float>> tensors(kBuffers, std::vector<float>(floats));
  for (int i = 0; i < kBuffers; ++i) {
    frames.push_back(make_picture(format, width, height, static_cast<unsigned>(i)));
  }

  preprocess(frames[0], input, tensors[0].data());
  const ResampleJob job = picture_job(width, height, input);
  const std::vector<double> wanted = resample_reference(frames[0], job);
  for (std::size_t i = 0; i < floats; ++i) {
    if (!(std::abs(tensors[0][i] - wanted[i]) < 1.0 / 255)) fail(name);
  }

  const std::size_t touched = bench::bytes_touched(frames[0], job, sizeof(float));
  std::vector<std::vector<char>> from(kBuffers, std::vector<char>(touched / 2, 1)), to = from;
  const auto at = [](int i) { return static_cast<std::size_t>(i); };
  const Timing copy =
      time_of([&](int i) { std::memcpy(to[at(i)].data(), from[at(i)].data(), touched / 2); });
  const Timing fast =
      time_of([&](int i) { preprocess(frames[at(i)], input, tensors[at(i)].data()); });
  const Timing portable =
      time_of([&](int i) { resample(frames[at(i)], job, tensors[at(i)].data(), Simd::kPortable); });
  char line[512];
  std::snprintf(line, sizeof line,
                R"({"name": "%s", "median_us": %.0f, "p95_us": %.0f, "portable_median_us": %.0f, )"
                R"("bytes_touched": %zu, "memcpy_estimate_us": %.0f, "of_estimate": %.2f})",
                name, fast.median, fast.p95, portable.median, touched, copy.median,
                fast.median / copy.median);
  return line;
}

// A YOLOv8 output in which `objects` places have `each` candidates around them, the rest noise
// below the threshold; `each` 0: every anchor is a candidate.
Tensor raw_output(int objects, int each, unsigned seed) {
  constexpr std::size_t kAnchors = 8400, kClasses = 80;
  Tensor tensor = Tensor::zeros(DType::kFloat32, {1, 4 + kClasses, kAnchors});
  const std::span<float> raw = tensor.as<float>();
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(0, 1);
  for (std::size_t i = 4 * kAnchors; i < raw.size(); ++i) raw[i] = 0.02f * uniform(random);
  const std::size_t candidates =
      each > 0 ? static_cast<std::size_t>(objects) * static_cast<std::size_t>(each) : kAnchors;
  for (std::size_t i = 0; i < candidates; ++i) {
    const std::size_t anchor = each > 0 ? random() % kAnchors : i;
    const auto object = static_cast<float>(i % static_cast<std::size_t>(objects));
    const float box[] = {30 + std::fmod(object * 37, 580.0f) + 6 * uniform(random),
                         170 + std::fmod(object * 53, 300.0f) + 6 * uniform(random),
                         40 + 8 * uniform(random), 40 + 8 * uniform(random)};
    for (std::size_t c = 0; c < 4; ++c) raw[c * kAnchors + anchor] = box[c];
    const std::size_t class_id = i % static_cast<std::size_t>(objects) % kClasses;
    raw[(4 + class_id) * kAnchors + anchor] = 0.3f + 0.65f * uniform(random);
  }
  return tensor;
}

void check_suppression(Tensor& tensor, const Detections& got) {
  const std::span<const float> raw = std::as_const(tensor).as<float>();
  const std::size_t anchors = 8400;
  struct Candidate {
    Box box;
    float score;
    int class_id;
  };
  std::vector<Candidate> all;
  for (std::size_t a = 0; a < anchors; ++a) {
    Candidate one{{}, 0, -1};
    for (std::size_t c = 0; c < 80; ++c) {
      const float score = raw[(4 + c) * anchors + a];
      if (score > one.score) one.score = score, one.class_id = static_cast<int>(c);
    }
    const float x = raw[a], y = raw[anchors + a], w = raw[2 * anchors + a],
                h = raw[3 * anchors + a];
    one.box = {x - w / 2, y - h / 2, x + w / 2, y + h / 2};
    if (one.score > 0.25f) all.push_back(one);
  }
  std::stable_sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.score > b.score; });
  std::vector<Candidate> kept;
  for (const Candidate& one : all) {
    const bool dropped = std::any_of(kept.begin(), kept.end(), [&](const Candidate& other) {
      return other.class_id == one.class_id && iou(other.box, one.box) > 0.7f;
    });
    if (!dropped && kept.size() < 300) kept.push_back(one);
  }
  if (kept.size() != got.size()) fail("number of boxes kept");
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i].score != got.scores[i] || kept[i].class_id != got.classes[i]) fail("boxes kept");
  }
}

std::string suppression_line(const char* name, int objects, int each) {
  TaskSpec spec;
  spec.class_count = 80;
  const auto decoder = make_output_decoder(spec, {});
  const Letterbox letterbox = place(1920, 1080, spec.input);
  std::vector<Tensor> tensors;
  for (int i = 0; i < kBuffers; ++i) {
    tensors.push_back(raw_output(objects, each, static_cast<unsigned>(i)));
  }
  FrameResult result;
  const auto decode = [&](int i) {
    const TensorView view = tensors[static_cast<std::size_t>(i)].view();
    decoder->decode(std::span(&view, 1), 0, letterbox, result);
  };
  decode(0);
  check_suppression(tensors[0], result.detections);
  const Timing timing = time_of(decode);
  char line[256];
  std::snprintf(line, sizeof line,
                R"({"name": "%s", "median_us": %.0f, "p95_us": %.0f, "kept": %zu})", name,
                timing.median, timing.p95, result.detections.size());
  return line;
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

int run() {
  const std::string lines[] = {
      letterbox_line("letterbox yuv420p 1920x1080 to 640", PixelFormat::kYuv420p, 1920, 1080),
      letterbox_line("letterbox nv12 1920x1080 to 640", PixelFormat::kNv12, 1920, 1080),
      letterbox_line("letterbox yuv420p 1280x720 to 640", PixelFormat::kYuv420p, 1280, 720),
      letterbox_line("letterbox yuv420p 768x432 to 640", PixelFormat::kYuv420p, 768, 432),
      letterbox_line("letterbox yuv420p 3840x2160 to 640", PixelFormat::kYuv420p, 3840, 2160),
      suppression_line("decode 8400x80, 20 objects of 10 candidates", 20, 10),
      suppression_line("decode 8400x80, 200 objects of 20 candidates", 200, 20),
      suppression_line("decode 8400x80, every anchor a candidate", 80, 0),
  };
  std::printf("{\"machine\": \"%s\", \"threads\": 1, \"cores\": %u, \"results\": [\n",
              cpu_name().c_str(), std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < std::size(lines); ++i) {
    std::printf("  %s%s\n", lines[i].c_str(), i + 1 < std::size(lines) ? "," : "");
  }
  std::printf("]}\n");
  return 0;
}

}  // namespace
}  // namespace peregrine::vision

int main() { return peregrine::vision::run(); }
