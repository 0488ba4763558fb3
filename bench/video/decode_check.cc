// SPDX-License-Identifier: Apache-2.0
#include "decode_check.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <vector>

#include <fmt/format.h>

extern "C" {
#include <libavutil/hwcontext.h>
#include <libavutil/md5.h>
}

#include "clip_decoder.h"
#include "core/cuda/check.h"
#include "core/cuda/copy.h"
#include "core/ledger.h"
#include "peregrine/error.h"
#include "video/codecs.h"

namespace peregrine::bench {
namespace {

constexpr int kEvery = 8;
constexpr double kMeanDifference = 0.5;  // of codecs that are not exact, in levels

bool is_exact(AVCodecID id) {
  for (const AVCodecID each :
       {AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_VP8, AV_CODEC_ID_VP9, AV_CODEC_ID_AV1}) {
    if (id == each) return true;
  }
  return false;  // MJPEG and MPEG leave the rounding of their transform open
}

// A frame's luma, row after row without gaps; of 10-bit video two bytes a pixel, the value in the
// low bits.
struct Luma {
  int width = 0, height = 0, bytes_per_pixel = 1;
  std::vector<std::uint8_t> bytes;

  std::size_t row_bytes() const { return static_cast<std::size_t>(width) * bytes_per_pixel; }
};

Luma empty_luma(const AVFrame& frame, AVPixelFormat format) {
  Luma luma{frame.width, frame.height, av_pix_fmt_desc_get(format)->comp[0].depth > 8 ? 2 : 1, {}};
  luma.bytes.resize(luma.row_bytes() * static_cast<std::size_t>(luma.height));
  return luma;
}

Luma luma_on_host(const AVFrame& frame) {
  Luma luma = empty_luma(frame, static_cast<AVPixelFormat>(frame.format));
  for (int y = 0; y < frame.height; ++y) {
    std::memcpy(luma.bytes.data() + luma.row_bytes() * static_cast<std::size_t>(y),
                frame.data[0] + std::ptrdiff_t{frame.linesize[0]} * y, luma.row_bytes());
  }
  return luma;
}

Luma luma_on_device(const AVFrame& frame) {
  static TransferPoint point(Crossing::kDown, "benchmark", "luma to check");
  const auto* frames = reinterpret_cast<const AVHWFramesContext*>(frame.hw_frames_ctx->data);
  Luma luma = empty_luma(frame, frames->sw_format);
  const cudaStream_t stream = stream_of(frame);
  cuda::copy_down_2d(point, luma.bytes.data(), luma.row_bytes(), frame.data[0],
                     static_cast<std::size_t>(frame.linesize[0]), luma.row_bytes(),
                     static_cast<std::size_t>(luma.height), stream);
  CUDA_CHECK(cudaStreamSynchronize(stream));
  if (luma.bytes_per_pixel == 2) {  // P010 keeps its value in the high bits
    const int shift = av_pix_fmt_desc_get(frames->sw_format)->comp[0].shift;
    for (std::size_t i = 0; i < luma.bytes.size(); i += 2) {
      const int value = (luma.bytes[i] | luma.bytes[i + 1] << 8) >> shift;
      luma.bytes[i] = static_cast<std::uint8_t>(value & 0xff);
      luma.bytes[i + 1] = static_cast<std::uint8_t>(value >> 8);
    }
  }
  return luma;
}

std::string md5_of(const Luma& luma) {
  std::uint8_t digest[16];
  av_md5_sum(digest, luma.bytes.data(), luma.bytes.size());
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

// The reference: how many frames there are, and every eighth as luma or all as MD5s.
struct Reference {
  int frames = 0;
  std::vector<Luma> lumas;
  std::vector<std::string> md5s;
};

Reference make_reference(const std::string& path, AVCodecID codec) {
  Reference reference;
  if (video::find_cpu_decoder(codec)) {
    ClipDecoder decoder(path, ClipDecoder::Ending::kOnce);
    while (const video::AvFrame frame = decoder.next()) {
      if (reference.frames++ % kEvery == 0) reference.lumas.push_back(luma_on_host(*frame));
    }
    return reference;
  }
  std::ifstream list(path + ".luma.md5");
  for (std::string each; std::getline(list, each);) reference.md5s.push_back(each);
  reference.frames = static_cast<int>(reference.md5s.size());
  if (reference.frames == 0) {
    throw Error(
        ErrorCode::kInputUnsupported,
        fmt::format("'{0}': libav has no decoder for it on the CPU, and there is no '{0}.luma.md5'",
                    path));
  }
  return reference;
}

// Adds what two frames differ by; false when they cannot be compared.
struct Difference {
  int largest = 0;
  double sum = 0, pixels = 0;

  bool add(const Luma& actual, const Luma& expected) {
    if (actual.width != expected.width || actual.height != expected.height ||
        actual.bytes_per_pixel != expected.bytes_per_pixel) {
      return false;
    }
    const auto step = static_cast<std::size_t>(actual.bytes_per_pixel);
    for (std::size_t i = 0; i < actual.bytes.size(); i += step) {
      int difference = actual.bytes[i] - expected.bytes[i];
      if (step == 2) difference += (actual.bytes[i + 1] - expected.bytes[i + 1]) * 256;
      largest = std::max(largest, std::abs(difference));
      sum += std::abs(difference);
    }
    pixels += static_cast<double>(actual.bytes.size() / step);
    return true;
  }
  double mean() const { return pixels > 0 ? sum / pixels : 0; }
};

}  // namespace

CheckedClip check_clip(const std::string& path) {
  const DecodeDevice device(Sharing{});
  ClipDecoder decoder(path, ClipDecoder::Ending::kOnce, device, 0);
  const AVCodecParameters& parameters = decoder.parameters();
  const AVCodecID id = parameters.codec_id;
  CheckedClip clip{avcodec_get_name(id), parameters.width, parameters.height, 0, false, {}};
  const Reference reference = make_reference(path, id);

  Difference difference;
  bool comparable = true;
  int compared = 0, unlike = 0;
  while (const video::AvFrame frame = decoder.next()) {
    const int index = clip.frames++;
    if (index % kEvery != 0 || index >= reference.frames) continue;
    const Luma luma = luma_on_device(*frame);
    ++compared;
    if (reference.lumas.empty()) {
      unlike += md5_of(luma) != reference.md5s[static_cast<std::size_t>(index)];
    } else {
      comparable &= difference.add(luma, reference.lumas[static_cast<std::size_t>(index / kEvery)]);
    }
  }
  const bool equal = difference.largest == 0 && unlike == 0;
  clip.right = comparable && clip.frames == reference.frames && compared > 0 &&
               (equal || (!is_exact(id) && difference.mean() <= kMeanDifference));
  clip.words = fmt::format("{} frames of {}", clip.frames, reference.frames);
  if (!comparable) {
    clip.words += ", of another size or depth than the CPU's";
  } else if (reference.lumas.empty()) {
    clip.words += fmt::format(", {} of {} compared differ in MD5", unlike, compared);
  } else {
    clip.words += fmt::format(", {} compared, differ by {} at most, {:.4f} on average", compared,
                              difference.largest, difference.mean());
  }
  return clip;
}

}  // namespace peregrine::bench
