// SPDX-License-Identifier: Apache-2.0
#include "video/codecs.h"

namespace peregrine::video {

const AVCodec* find_cpu_decoder(AVCodecID id) {
  // libav's own AV1 decoder needs a hardware accelerator.
  if (id == AV_CODEC_ID_AV1) {
    for (const char* name : {"libdav1d", "libgav1", "libaom-av1"}) {
      if (const AVCodec* codec = avcodec_find_decoder_by_name(name)) return codec;
    }
    return nullptr;
  }
  return avcodec_find_decoder(id);
}

const AVCodec* find_gpu_decoder(AVCodecID id) {
  void* at = nullptr;
  while (const AVCodec* codec = av_codec_iterate(&at)) {
    if (codec->id != id || !av_codec_is_decoder(codec)) continue;
    for (int i = 0; const AVCodecHWConfig* config = avcodec_get_hw_config(codec, i); ++i) {
      const bool by_device = (config->methods & AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX) != 0;
      if (by_device && config->pix_fmt == AV_PIX_FMT_CUDA && codec->wrapper_name == nullptr) {
        return codec;
      }
    }
  }
  return nullptr;
}

std::vector<const AVCodec*> available_encoders() {
  std::vector<const AVCodec*> encoders;
  for (const char* name : {"libx264", "libopenh264", "mpeg4"}) {
    if (const AVCodec* codec = avcodec_find_encoder_by_name(name)) encoders.push_back(codec);
  }
  return encoders;
}

const AVCodec* find_gpu_encoder() { return avcodec_find_encoder_by_name("h264_nvenc"); }

}  // namespace peregrine::video
