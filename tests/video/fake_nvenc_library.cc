// SPDX-License-Identifier: Apache-2.0
// A libnvidia-encode.so.1 for GPUs without NVENC (and for exact tests on those with one): it speaks
// the interface that libav loads, and "encodes" H.264 whose macroblocks are plain samples (I_PCM,
// ITU-T H.264 7.3.5), so that what a decoder gives back is bit by bit what lay in the surface.
// Every picture is an IDR picture. A surface is read as late as its user allows: when its bitstream
// is asked for.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <list>
#include <memory>
#include <span>
#include <vector>

#include <cuda_runtime_api.h>
#include <ffnvcodec/nvEncodeAPI.h>

namespace {

// --- H.264, as little as these pictures need ---

class Bits {
 public:
  void bit(unsigned value) {
    byte_ = static_cast<std::uint8_t>(byte_ << 1 | (value & 1));
    if (++filled_ == 8) flush_byte();
  }
  void bits(unsigned value, int count) {
    while (count-- > 0) bit(value >> count);
  }
  void exp_golomb(unsigned value) {
    int length = 0;
    while ((value + 1) >> (length + 1) != 0) ++length;
    bits(0, length);
    bits(value + 1, length + 1);
  }
  void align_with_zeros() {
    while (filled_ != 0) bit(0);
  }
  void samples(const std::uint8_t* first, int count) {
    bytes_.insert(bytes_.end(), first, first + count);
  }
  std::vector<std::uint8_t> finish() {  // rbsp_trailing_bits
    bit(1);
    align_with_zeros();
    return std::move(bytes_);
  }

 private:
  void flush_byte() {
    bytes_.push_back(byte_);
    byte_ = 0;
    filled_ = 0;
  }
  std::vector<std::uint8_t> bytes_;
  std::uint8_t byte_ = 0;
  int filled_ = 0;
};

// A start code, the header byte, and the payload without the patterns of a start code.
void append_nal(std::vector<std::uint8_t>& stream, std::uint8_t header,
                std::span<const std::uint8_t> payload) {
  stream.insert(stream.end(), {0, 0, 0, 1, header});
  int zeros = 0;
  for (const std::uint8_t byte : payload) {
    if (zeros == 2 && byte <= 3) {
      stream.push_back(3);
      zeros = 0;
    }
    stream.push_back(byte);
    zeros = byte == 0 ? zeros + 1 : 0;
  }
}

struct Size {
  unsigned width = 0, height = 0;  // even
  unsigned columns() const { return (width + 15) / 16; }
  unsigned rows() const { return (height + 15) / 16; }
};

std::vector<std::uint8_t> parameter_sets(Size size) {
  Bits sequence;
  sequence.bits(66, 8);  // baseline
  sequence.bits(0, 8);
  sequence.bits(51, 8);    // level 5.1
  sequence.exp_golomb(0);  // id
  sequence.exp_golomb(0);  // frame_num of 4 bits
  sequence.exp_golomb(2);  // pictures leave in the order in which they come
  sequence.exp_golomb(1);  // reference pictures
  sequence.bit(0);
  sequence.exp_golomb(size.columns() - 1);
  sequence.exp_golomb(size.rows() - 1);
  sequence.bit(1);  // frames only
  sequence.bit(1);
  const unsigned right = size.columns() * 16 - size.width, below = size.rows() * 16 - size.height;
  sequence.bit(right + below > 0);
  if (right + below > 0) {
    sequence.exp_golomb(0);
    sequence.exp_golomb(right / 2);
    sequence.exp_golomb(0);
    sequence.exp_golomb(below / 2);
  }
  sequence.bit(0);  // no VUI
  Bits picture;
  picture.exp_golomb(0);
  picture.exp_golomb(0);
  picture.bits(0, 2);     // CAVLC, no bottom field order
  picture.exp_golomb(0);  // one slice group
  picture.exp_golomb(0);
  picture.exp_golomb(0);
  picture.bits(0, 3);  // no weighted prediction
  picture.exp_golomb(0);
  picture.exp_golomb(0);
  picture.exp_golomb(0);
  picture.bit(1);  // deblocking is told in the slice
  picture.bits(0, 2);
  std::vector<std::uint8_t> stream;
  append_nal(stream, 0x67, sequence.finish());
  append_nal(stream, 0x68, picture.finish());
  return stream;
}

// `luma` and `chroma` (NV12) with rows of `pitch` bytes; macroblocks over the border repeat it.
std::vector<std::uint8_t> coded(Size size, unsigned number, const std::uint8_t* luma,
                                const std::uint8_t* chroma, std::size_t pitch) {
  Bits slice;
  slice.exp_golomb(0);
  slice.exp_golomb(7);  // all slices are I
  slice.exp_golomb(0);
  slice.bits(0, 4);
  slice.exp_golomb(number % 2);  // neighbouring IDR pictures differ
  slice.bits(0, 2);
  slice.exp_golomb(0);
  slice.exp_golomb(1);  // no deblocking
  const auto at = [](unsigned position, unsigned end) { return std::min(position, end - 1); };
  std::uint8_t samples[384];
  for (unsigned row = 0; row < size.rows(); ++row) {
    for (unsigned column = 0; column < size.columns(); ++column) {
      for (unsigned i = 0; i < 256; ++i) {
        samples[i] =
            luma[at(row * 16 + i / 16, size.height) * pitch + at(column * 16 + i % 16, size.width)];
      }
      for (unsigned i = 0; i < 128; ++i) {
        const unsigned y = at(row * 8 + i % 64 / 8, size.height / 2);
        const unsigned x = at(column * 8 + i % 8, size.width / 2);
        samples[256 + i] = chroma[y * pitch + 2 * x + i / 64];
      }
      slice.exp_golomb(25);  // I_PCM
      slice.align_with_zeros();
      slice.samples(samples, 384);
    }
  }
  std::vector<std::uint8_t> stream;
  append_nal(stream, 0x65, slice.finish());
  return stream;
}

// --- the interface ---

struct Surface {
  const std::uint8_t* memory = nullptr;
  std::size_t pitch = 0;
};

struct Bitstream {
  const Surface* input = nullptr;
  std::uint64_t time = 0;
  unsigned number = 0;
  std::vector<std::uint8_t> bytes;
};

struct Session {
  Size size;
  unsigned pictures = 0;
  std::list<Surface> surfaces;
  std::list<Bitstream> bitstreams;
};

Session& session(void* encoder) { return *static_cast<Session*>(encoder); }

NVENCSTATUS NVENCAPI open_session(NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS*, void** encoder) {
  *encoder = new Session;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI guid_count(void*, std::uint32_t* count) {
  *count = 1;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI guids(void*, GUID* all, std::uint32_t, std::uint32_t* count) {
  all[0] = NV_ENC_CODEC_H264_GUID;
  *count = 1;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI capability(void*, GUID, NV_ENC_CAPS_PARAM* asked, int* value) {
  const NV_ENC_CAPS caps = asked->capsToQuery;
  *value = caps == NV_ENC_CAPS_WIDTH_MAX || caps == NV_ENC_CAPS_HEIGHT_MAX ? 4096
           : caps == NV_ENC_CAPS_SUPPORT_CABAC                             ? 1
                                                                           : 0;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI preset(void*, GUID, GUID, NV_ENC_TUNING_INFO, NV_ENC_PRESET_CONFIG* config) {
  config->presetCfg.frameIntervalP = 1;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI initialize(void* encoder, NV_ENC_INITIALIZE_PARAMS* params) {
  session(encoder).size = {params->encodeWidth, params->encodeHeight};
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI set_streams(void*, NV_ENC_CUSTREAM_PTR, NV_ENC_CUSTREAM_PTR) {
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI sequence_params(void* encoder, NV_ENC_SEQUENCE_PARAM_PAYLOAD* payload) {
  const std::vector<std::uint8_t> sets = parameter_sets(session(encoder).size);
  std::memcpy(payload->spsppsBuffer, sets.data(), sets.size());
  *payload->outSPSPPSPayloadSize = static_cast<std::uint32_t>(sets.size());
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI create_bitstream(void* encoder, NV_ENC_CREATE_BITSTREAM_BUFFER* created) {
  created->bitstreamBuffer = &session(encoder).bitstreams.emplace_back();
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI register_resource(void* encoder, NV_ENC_REGISTER_RESOURCE* resource) {
  session(encoder).surfaces.push_back(
      {static_cast<const std::uint8_t*>(resource->resourceToRegister), resource->pitch});
  resource->registeredResource = &session(encoder).surfaces.back();
  return resource->bufferFormat == NV_ENC_BUFFER_FORMAT_NV12 ? NV_ENC_SUCCESS
                                                             : NV_ENC_ERR_INVALID_PARAM;
}
NVENCSTATUS NVENCAPI map_resource(void*, NV_ENC_MAP_INPUT_RESOURCE* mapped) {
  mapped->mappedResource = mapped->registeredResource;
  mapped->mappedBufferFmt = NV_ENC_BUFFER_FORMAT_NV12;
  return NV_ENC_SUCCESS;
}
NVENCSTATUS NVENCAPI nothing_to_do(void*, void*) { return NV_ENC_SUCCESS; }

NVENCSTATUS NVENCAPI encode(void* encoder, NV_ENC_PIC_PARAMS* picture) {
  if ((picture->encodePicFlags & NV_ENC_PIC_FLAG_EOS) != 0) return NV_ENC_SUCCESS;
  auto* output = static_cast<Bitstream*>(picture->outputBitstream);
  *output = {static_cast<const Surface*>(picture->inputBuffer),
             picture->inputTimeStamp,
             session(encoder).pictures++,
             {}};
  return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI lock_bitstream(void* encoder, NV_ENC_LOCK_BITSTREAM* locked) {
  auto* output = static_cast<Bitstream*>(locked->outputBitstream);
  const Size size = session(encoder).size;
  const Surface& from = *output->input;
  std::vector<std::uint8_t> host(from.pitch * size.height * 3 / 2);
  if (cudaMemcpy(host.data(), from.memory, host.size(), cudaMemcpyDeviceToHost) != cudaSuccess) {
    return NV_ENC_ERR_GENERIC;
  }
  output->bytes =
      coded(size, output->number, host.data(), host.data() + from.pitch * size.height, from.pitch);
  locked->bitstreamBufferPtr = output->bytes.data();
  locked->bitstreamSizeInBytes = static_cast<std::uint32_t>(output->bytes.size());
  locked->outputTimeStamp = output->time;
  locked->pictureType = NV_ENC_PIC_TYPE_IDR;
  return NV_ENC_SUCCESS;
}

NVENCSTATUS NVENCAPI destroy(void* encoder) {
  delete static_cast<Session*>(encoder);
  return NV_ENC_SUCCESS;
}
const char* NVENCAPI last_error(void*) { return "none: this library is a test's"; }

}  // namespace

#define EXPORTED __attribute__((visibility("default")))

extern "C" {

EXPORTED NVENCSTATUS NVENCAPI NvEncodeAPIGetMaxSupportedVersion(std::uint32_t* version) {
  *version = NVENCAPI_MAJOR_VERSION << 4 | NVENCAPI_MINOR_VERSION;
  return NV_ENC_SUCCESS;
}

EXPORTED NVENCSTATUS NVENCAPI NvEncodeAPICreateInstance(NV_ENCODE_API_FUNCTION_LIST* list) {
  list->nvEncOpenEncodeSessionEx = open_session;
  list->nvEncGetEncodeGUIDCount = guid_count;
  list->nvEncGetEncodeGUIDs = guids;
  list->nvEncGetEncodeCaps = capability;
  list->nvEncGetEncodePresetConfigEx = preset;
  list->nvEncInitializeEncoder = initialize;
  list->nvEncSetIOCudaStreams = set_streams;
  list->nvEncGetSequenceParams = sequence_params;
  list->nvEncCreateBitstreamBuffer = create_bitstream;
  list->nvEncDestroyBitstreamBuffer = nothing_to_do;
  list->nvEncRegisterResource = register_resource;
  list->nvEncUnregisterResource = nothing_to_do;
  list->nvEncMapInputResource = map_resource;
  list->nvEncUnmapInputResource = nothing_to_do;
  list->nvEncEncodePicture = encode;
  list->nvEncLockBitstream = lock_bitstream;
  list->nvEncUnlockBitstream = nothing_to_do;
  list->nvEncDestroyEncoder = destroy;
  list->nvEncGetLastErrorString = last_error;
  return NV_ENC_SUCCESS;
}
}
