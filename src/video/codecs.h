// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "video/libav.h"

namespace peregrine::video {

/// The decoder for a codec that works without hardware; null when libav has none.
const AVCodec* find_cpu_decoder(AVCodecID id);

/// The decoder for a codec that libav can hand to NVDEC; null when there is none.
const AVCodec* find_gpu_decoder(AVCodecID id);

/// The encoders fit for annotated video that libav has, best first: H.264's, then MPEG-4.
std::vector<const AVCodec*> available_encoders();

/// H.264 by NVENC; null when libav has none. Whether a chip has one shows when it opens.
const AVCodec* find_gpu_encoder();

}  // namespace peregrine::video
