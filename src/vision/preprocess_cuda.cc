// SPDX-License-Identifier: Apache-2.0
#include "vision/preprocess_cuda.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/cuda/check.h"
#include "peregrine/error.h"
#include "vision/preprocess_plan.h"

namespace peregrine::vision {
namespace {

// What becomes of one output picture.
struct Piece {
  const Frame& frame;
  ResampleJob job;
};

// `piece(i)` is what output picture i is made of. Everything is checked before anything is
// enqueued.
template <typename PieceOf>
void enqueue(std::size_t count, const TensorView& out, StreamHandle stream, const PieceOf& piece) {
  if (count == 0) return;
  PreprocessTarget target = plan_target(out, count, piece(0).job);
  for (std::size_t i = 0; i < count; ++i) {
    const auto [frame, job] = piece(i);
    plan_picture(frame, job, out.device);
  }
  const auto cuda_stream = static_cast<cudaStream_t>(stream);
  std::array<PictureJob, kJobsPerLaunch> jobs;
  std::array<void*, kJobsPerLaunch> events;
  for (std::size_t first = 0; first < count; first += kJobsPerLaunch) {
    const std::size_t size = std::min<std::size_t>(count - first, kJobsPerLaunch);
    auto* last_event = events.begin();
    for (std::size_t i = 0; i < size; ++i) {
      const auto [frame, job] = piece(first + i);
      jobs[i] = plan_picture(frame, job, out.device);
      if (frame.ready == nullptr) continue;
      // Many crops come from one frame.
      if (std::find(events.begin(), last_event, frame.ready) != last_event) continue;
      *last_event++ = frame.ready;
      CUDA_CHECK(cudaStreamWaitEvent(cuda_stream, static_cast<cudaEvent_t>(frame.ready)));
    }
    launch_preprocess(target, {jobs.data(), size}, cuda_stream);
    const std::int64_t bytes = target.picture_stride * static_cast<std::int64_t>(size) *
                               static_cast<std::int64_t>(size_of(out.dtype));
    target.data = static_cast<std::uint8_t*>(target.data) + bytes;
  }
}

}  // namespace

void preprocess_on_gpu(std::span<const Frame> frames, const InputSpec& input, const TensorView& out,
                       std::span<Letterbox> letterboxes, StreamHandle stream) {
  if (letterboxes.size() != frames.size()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} frames are to be preprocessed, with room for {} letterboxes; "
                            "give one a frame",
                            frames.size(), letterboxes.size()));
  }
  const auto job_of = [&](const Frame& frame) {
    return picture_job(frame.info.width, frame.info.height, input);
  };
  enqueue(frames.size(), out, stream, [&](std::size_t i) {
    return Piece{frames[i], job_of(frames[i])};
  });
  for (std::size_t i = 0; i < frames.size(); ++i) letterboxes[i] = letterbox_of(job_of(frames[i]));
}

void preprocess_crops_on_gpu(std::span<const Crop> crops, const InputSpec& input,
                             const TensorView& out, StreamHandle stream) {
  enqueue(crops.size(), out, stream, [&](std::size_t i) {
    if (crops[i].frame == nullptr) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("crop {} of {} has no frame", i, crops.size()));
    }
    const Frame& frame = *crops[i].frame;
    return Piece{frame, crop_job(frame.info.width, frame.info.height, crops[i].box, input)};
  });
}

}  // namespace peregrine::vision
