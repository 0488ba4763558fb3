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

std::vector<const AVCodec*> available_encoders() {
  std::vector<const AVCodec*> encoders;
  for (const char* name : {"libx264", "libopenh264", "mpeg4"}) {
    if (const AVCodec* codec = avcodec_find_encoder_by_name(name)) encoders.push_back(codec);
  }
  return encoders;
}

}  // namespace peregrine::video
