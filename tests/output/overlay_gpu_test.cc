// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdio>

#include <gtest/gtest.h>

#include "core/cuda/check.h"
#include "core/cuda/handles.h"
#include "core/ledger.h"
#include "engine/cuda/gpu.h"
#include "output/overlay.h"
#include "output/overlay_cuda.h"
#include "output/overlay_kernel.h"
#include "output/overlay_layout.h"
#include "output/overlay_pack.h"
#include "overlay_cases.h"
#include "testing/expect_error.h"

namespace peregrine::output {
namespace {

using peregrine::testing::expect_error;

/// NV12 in device memory, with rows longer than the picture's.
struct OnDevice {
  explicit OnDevice(const Frame& host) : info(host.info) {
    for (int p = 0; p < 2; ++p) {
      const auto i = static_cast<std::size_t>(p);
      stride[i] = (host.info.width + 1) / 2 * 2 + 64;
      memory[i] = cuda::DeviceBuffer(static_cast<std::size_t>(stride[i] * rows(p)));
      CUDA_CHECK(cudaMemset(memory[i].data(), 0xA5, memory[i].bytes()));
      frame.planes[i] = {memory[i].as<const std::uint8_t>(), stride[i]};
    }
    const auto planes = frame.planes;
    frame = host;
    frame.planes = planes;
    frame.device = Device::cuda(0);
    frame.storage = nullptr;
  }
  int rows(int plane) const { return plane == 0 ? info.height : (info.height + 1) / 2; }
  int row_bytes(int plane) const { return plane == 0 ? info.width : (info.width + 1) / 2 * 2; }

  void fill(const Frame& host) const {
    for (int p = 0; p < 2; ++p) {
      const auto i = static_cast<std::size_t>(p);
      CUDA_CHECK(cudaMemcpy2D(memory[i].data(), static_cast<std::size_t>(stride[i]),
                              host.planes[i].data, static_cast<std::size_t>(host.planes[i].stride),
                              static_cast<std::size_t>(row_bytes(p)),
                              static_cast<std::size_t>(rows(p)), cudaMemcpyHostToDevice));
    }
    CUDA_CHECK(cudaStreamSynchronize(nullptr));  // other streams do not wait for it
  }
  DevicePicture target() const {
    return {memory[0].as<std::uint8_t>(), stride[0], memory[1].as<std::uint8_t>(), stride[1]};
  }
  /// The picture, packed; `clean`: whether nothing was written beside it.
  std::vector<std::uint8_t> packed(bool& clean) const {
    std::vector<std::uint8_t> bytes;
    clean = true;
    for (int p = 0; p < 2; ++p) {
      const auto whole =
          peregrine::testing::to_host<std::uint8_t>(memory[static_cast<std::size_t>(p)]);
      for (int y = 0; y < rows(p); ++y) {
        const auto row = whole.begin() + y * stride[static_cast<std::size_t>(p)];
        bytes.insert(bytes.end(), row, row + row_bytes(p));
        for (auto beside = row + row_bytes(p); beside != row + stride[static_cast<std::size_t>(p)];
             ++beside) {
          clean = clean && *beside == 0xA5;
        }
      }
    }
    return bytes;
  }

  FrameInfo info;
  std::array<std::int64_t, 2> stride{};
  std::array<cuda::DeviceBuffer, 2> memory;
  Frame frame;
};

TEST(OverlayOnGpu, DrawsTheBytesOfTheCpu) {
  PEREGRINE_NEEDS_GPU();
  OverlayRenderer renderer(overlay_labels());
  GpuOverlay overlay(overlay_labels());
  const cuda::Stream stream = cuda::make_stream();
  for (const OverlayCase& each : overlay_cases()) {
    SCOPED_TRACE(each.name);
    const auto wanted = packed_nv12(renderer.render(each.picture, each.result));
    const OnDevice from(each.picture), to(each.picture);
    from.fill(each.picture);
    for (const OnDevice* target : {&to, &from}) {  // a copy, then in place
      overlay.draw(from.frame, each.result, target->target(), stream.get());
      CUDA_CHECK(cudaStreamSynchronize(stream.get()));
      bool clean = false;
      const auto got = target->packed(clean);
      EXPECT_TRUE(clean) << "written beside the picture";
      std::size_t different = 0, first = 0;
      for (std::size_t i = got.size(); i-- > 0;) {
        if (got[i] == wanted[i]) continue;
        ++different;
        first = i;
      }
      EXPECT_EQ(different, 0u) << (target == &to ? "copy" : "in place") << ", first at byte "
                               << first << ": " << int{got[first]} << ", not "
                               << int{wanted[first]};
      if (target != &to) continue;
      const auto untouched = from.packed(clean);
      EXPECT_EQ(untouched, packed_nv12(each.picture)) << "the original stays";
    }
  }
}

// Lists longer than what was allocated, and more frames than slots without waiting between them.
TEST(OverlayOnGpu, ManyFramesInFlightAndLongLists) {
  PEREGRINE_NEEDS_GPU();
  OverlayRenderer renderer(overlay_labels());
  GpuOverlay overlay(overlay_labels());
  const cuda::Stream stream = cuda::make_stream();
  std::vector<OverlayCase> cases;
  for (const int objects : {3, 300, 40, 1, 120, 0, 7}) cases.push_back(crowd(objects));
  std::vector<std::unique_ptr<OnDevice>> targets;
  for (const OverlayCase& each : cases) {
    targets.push_back(std::make_unique<OnDevice>(each.picture));
    targets.back()->fill(each.picture);
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    overlay.draw(targets[i]->frame, cases[i].result, targets[i]->target(), stream.get());
  }
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  for (std::size_t i = 0; i < cases.size(); ++i) {
    bool clean = false;
    EXPECT_EQ(targets[i]->packed(clean),
              packed_nv12(renderer.render(cases[i].picture, cases[i].result)))
        << cases[i].result.detections.size() << " objects";
  }
}

TEST(OverlayOnGpu, WaitsForThePictureOnTheDevice) {
  PEREGRINE_NEEDS_GPU();
  GpuOverlay overlay(overlay_labels());
  OverlayCase scene = crowd(5);
  const OnDevice picture(scene.picture), to(scene.picture);
  const cuda::Stream decoder = cuda::make_stream(), stream = cuda::make_stream();
  const cuda::Event ready = cuda::make_event();
  // The picture arrives late, on another stream.
  cuda::PinnedBuffer late(64 << 20);
  cuda::DeviceBuffer there(64 << 20);
  for (int i = 0; i < 8; ++i) {
    CUDA_CHECK(cudaMemcpyAsync(there.data(), late.data(), late.bytes(), cudaMemcpyHostToDevice,
                               decoder.get()));
  }
  cuda::PinnedBuffer staged(picture.memory[0].bytes());
  std::fill_n(staged.as<std::uint8_t>(), staged.bytes(), std::uint8_t{77});
  CUDA_CHECK(cudaMemcpyAsync(picture.memory[0].data(), staged.data(), staged.bytes(),
                             cudaMemcpyHostToDevice, decoder.get()));
  CUDA_CHECK(cudaEventRecord(ready.get(), decoder.get()));
  Frame frame = picture.frame;
  frame.ready = ready.get();
  overlay.draw(frame, FrameResult{}, to.target(), stream.get());
  CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  bool clean = false;
  EXPECT_EQ(to.packed(clean)[12345], 77);
}

TEST(OverlayOnGpu, WhatCrossesTheBusIsInTheLedger) {
  PEREGRINE_NEEDS_GPU();
  GpuOverlay overlay(overlay_labels());
  const OverlayCase scene = crowd(10);
  const OnDevice picture(scene.picture);
  const cuda::Stream stream = cuda::make_stream();
  const auto crossed = [&] {
    const auto before = Ledger::snapshot();
    overlay.draw(picture.frame, scene.result, picture.target(), stream.get());
    CUDA_CHECK(cudaStreamSynchronize(stream.get()));
    return Ledger::difference(before, Ledger::snapshot());
  };
  EXPECT_EQ(crossed().size(), 2u) << "the list and its letters";
  const auto second = crossed();
  ASSERT_EQ(second.size(), 1u) << "the letters are there";
  EXPECT_EQ(second[0].reason, "display list");
  EXPECT_EQ(second[0].transfers, 1u);
  EXPECT_LT(second[0].bytes, 64u << 10);
  std::printf("ten people with masks and skeletons: %llu bytes up\n",
              static_cast<unsigned long long>(second[0].bytes));
}

TEST(OverlayOnGpu, OtherPicturesAreRefused) {
  PEREGRINE_NEEDS_GPU();
  GpuOverlay overlay(overlay_labels());
  const OverlayCase scene = crowd(1);
  const OnDevice picture(scene.picture);
  expect_error(ErrorCode::kInvalidArgument, {"nv12", "NV12 in device memory"},
               [&] { overlay.draw(scene.picture, scene.result, picture.target(), nullptr); });
  Frame deep = picture.frame;
  deep.format = PixelFormat::kP010;
  expect_error(ErrorCode::kInvalidArgument, {"p010", "NV12 in device memory"},
               [&] { overlay.draw(deep, scene.result, picture.target(), nullptr); });
  DevicePicture odd = picture.target();
  ++odd.luma_stride;
  expect_error(ErrorCode::kInvalidArgument, {"even"},
               [&] { overlay.draw(picture.frame, scene.result, odd, nullptr); });
}

// Not a benchmark, but an order of magnitude to be seen with each run on a GPU.
TEST(OverlayOnGpu, Timing) {
  PEREGRINE_NEEDS_GPU();
  const cuda::Stream stream = cuda::make_stream();
  const cuda::Event start = cuda::make_event(cuda::EventUse::kTiming);
  const cuda::Event stop = cuda::make_event(cuda::EventUse::kTiming);
  for (const auto& [objects, masks, skeletons] :
       {std::tuple{1, false, false}, {10, false, false}, {10, true, true}, {100, true, true}}) {
    GpuOverlay overlay(overlay_labels());
    OverlayCase scene = crowd(objects);
    if (!masks) scene.result.detections.masks.clear();
    if (!skeletons) scene.result.detections.keypoints.clear();
    const OnDevice from(scene.picture), to(scene.picture);
    constexpr int kRounds = 100;
    const auto mean_us = [&](auto&& round) {
      for (int i = 0; i < 10; ++i) round();
      CUDA_CHECK(cudaEventRecord(start.get(), stream.get()));
      for (int i = 0; i < kRounds; ++i) round();
      CUDA_CHECK(cudaEventRecord(stop.get(), stream.get()));
      CUDA_CHECK(cudaStreamSynchronize(stream.get()));
      return 1e3f * cuda::milliseconds_between(start, stop) / kRounds;
    };
    const float whole =
        mean_us([&] { overlay.draw(from.frame, scene.result, to.target(), stream.get()); });
    OverlayLayout layout(overlay_labels());
    OverlayPack pack;
    pack.pack(layout.lay_out(scene.result, 1920, 1080), from.frame);
    const auto list = peregrine::testing::to_device(
        std::vector<std::byte>(pack.bytes().begin(), pack.bytes().end()));
    const auto letters = peregrine::testing::to_device(
        std::vector<std::uint8_t>(layout.atlas().begin(), layout.atlas().end()));
    const BlockList blocks = pack.at(list.data(), letters.as<std::uint8_t>());
    const float kernel = mean_us([&] {
      launch_overlay(blocks, {from.frame.planes[0], from.frame.planes[1]}, to.target(),
                     stream.get());
    });
    std::printf("1080p, %d people%s%s: kernel %.1f us; with layout and upload %.1f us a frame\n",
                objects, masks ? ", masks" : "", skeletons ? ", skeletons" : "", kernel, whole);
  }
}

}  // namespace
}  // namespace peregrine::output
