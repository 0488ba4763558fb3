// SPDX-License-Identifier: Apache-2.0
#include "video/frame_maker.h"

#include <fmt/format.h>

#include "peregrine/error.h"

namespace peregrine::video {
namespace {

constexpr int kAlignment = 64;

bool is_single_picture_codec(AVCodecID id) {
  const AVCodecDescriptor* descriptor = avcodec_descriptor_get(id);
  return descriptor != nullptr && (descriptor->props & AV_CODEC_PROP_INTRA_ONLY) != 0;
}

ColorMatrix matrix_of(const AVFrame& picture, AVCodecID codec) {
  switch (picture.colorspace) {
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
    case AVCOL_SPC_FCC: return ColorMatrix::kBt601;  // FCC differs from BT.601 by under 1%
    case AVCOL_SPC_BT709:
    case AVCOL_SPC_SMPTE240M: return ColorMatrix::kBt709;  // nearest of the three
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL: return ColorMatrix::kBt2020;
    default: break;
  }
  const bool still = codec == AV_CODEC_ID_MJPEG || codec == AV_CODEC_ID_WEBP ||
                     codec == AV_CODEC_ID_TIFF || codec == AV_CODEC_ID_JPEG2000;
  const bool high_definition = picture.width >= 1280 || picture.height > 576;
  return high_definition && !still ? ColorMatrix::kBt709 : ColorMatrix::kBt601;
}

/// The same layout without the full range that libav's JPEG formats put into their name.
AVPixelFormat without_range(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P: return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P: return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P: return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P: return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ411P: return AV_PIX_FMT_YUV411P;
    default: return format;
  }
}

ColorRange range_of(const AVFrame& picture, AVCodecID codec) {
  const auto format = static_cast<AVPixelFormat>(picture.format);
  const AVPixFmtDescriptor& description = *av_pix_fmt_desc_get(format);
  constexpr std::uint64_t kNotYuv = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL;
  const bool says_full = without_range(format) != format;
  if ((description.flags & kNotYuv) != 0 || says_full) return ColorRange::kFull;
  if (picture.color_range == AVCOL_RANGE_JPEG) return ColorRange::kFull;
  if (picture.color_range == AVCOL_RANGE_MPEG) return ColorRange::kLimited;
  const bool gray = description.nb_components <= 2;
  return gray && is_single_picture_codec(codec) ? ColorRange::kFull : ColorRange::kLimited;
}

/// The format of Frame's nearest to `format` (which names no range): itself where Frame has it.
AVPixelFormat nearest_format(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_XYZ12LE:
    case AV_PIX_FMT_XYZ12BE: return AV_PIX_FMT_RGB24;
    case AV_PIX_FMT_YUV420P:
    case AV_PIX_FMT_YUV444P:
    case AV_PIX_FMT_NV12:
    case AV_PIX_FMT_RGB24:
    case AV_PIX_FMT_GRAY8: return format;
    default: break;
  }
  const AVPixFmtDescriptor& description = *av_pix_fmt_desc_get(format);
  constexpr std::uint64_t kRgb = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BAYER;
  if ((description.flags & kRgb) != 0) return AV_PIX_FMT_RGB24;
  if (description.nb_components <= 2) return AV_PIX_FMT_GRAY8;
  const bool full_chroma = description.log2_chroma_w == 0 && description.log2_chroma_h == 0;
  return full_chroma ? AV_PIX_FMT_YUV444P : AV_PIX_FMT_YUV420P;
}

PixelFormat to_pixel_format(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUV444P: return PixelFormat::kYuv444p;
    case AV_PIX_FMT_NV12: return PixelFormat::kNv12;
    case AV_PIX_FMT_RGB24: return PixelFormat::kRgb24;
    case AV_PIX_FMT_GRAY8: return PixelFormat::kGray8;
    default: return PixelFormat::kYuv420p;
  }
}

const std::uint8_t* stream_display_matrix(const AVStream& stream) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 100)
  const AVPacketSideData* data =
      av_packet_side_data_get(stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data,
                              AV_PKT_DATA_DISPLAYMATRIX);
  return data != nullptr && data->size >= 36 ? data->data : nullptr;
#else
  decltype(AVPacketSideData::size) size = 0;
  const std::uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return size >= 36 ? data : nullptr;
#endif
}

}  // namespace

FrameMaker::FrameMaker(const MediaReader& reader)
    : gpu_(reader.decoder().gpu()), codec_(reader.decoder().codec()) {
  if (const std::uint8_t* matrix = stream_display_matrix(reader.stream())) {
    stream_orientation_ = orientation_of(reinterpret_cast<const std::int32_t*>(matrix));
  }
}

Orientation FrameMaker::orientation(const AVFrame& picture) const {
  const AVFrameSideData* data = av_frame_get_side_data(&picture, AV_FRAME_DATA_DISPLAYMATRIX);
  if (data == nullptr || data->size < 36) return stream_orientation_;
  return orientation_of(reinterpret_cast<const std::int32_t*>(data->data));
}

AvFrame FrameMaker::pooled(AVPixelFormat format, int width, int height) {
  const int bytes = av_image_get_buffer_size(format, width, height, kAlignment);
  // swscale's vector code may write past the last row.
  const int padded = bytes + 4 * kAlignment;
  if (!pool_ || padded != pool_bytes_) {
    pool_.reset(bytes < 0 ? nullptr
                          : av_buffer_pool_init(static_cast<std::size_t>(padded), nullptr));
    pool_bytes_ = padded;
  }
  AvFrame frame = make_av_frame();
  frame->buf[0] = pool_ ? av_buffer_pool_get(pool_.get()) : nullptr;
  if (frame->buf[0] == nullptr) out_of_memory("a picture");
  frame->format = format;
  frame->width = width;
  frame->height = height;
  av_image_fill_arrays(frame->data, frame->linesize, frame->buf[0]->data, format, width, height,
                       kAlignment);
  return frame;
}

AvFrame FrameMaker::converted(const AVFrame& picture, AVPixelFormat format) {
  const auto source = static_cast<AVPixelFormat>(picture.format);
  converter_.reset(sws_getCachedContext(
      converter_.release(), picture.width, picture.height, source, picture.width, picture.height,
      format, SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr, nullptr, nullptr));
  if (!converter_) {
    throw Error(ErrorCode::kInputUnsupported,
                fmt::format("pixel format {} cannot be converted", av_get_pix_fmt_name(source)));
  }
  // Equal ranges and matrices on both sides: bits and chroma sampling change, values do not.
  const int* matrix = sws_getCoefficients(SWS_CS_ITU709);
  sws_setColorspaceDetails(converter_.get(), matrix, 1, matrix, 1, 0, 1 << 16, 1 << 16);
  AvFrame result = pooled(format, picture.width, picture.height);
  sws_scale(converter_.get(), picture.data, picture.linesize, 0, picture.height, result->data,
            result->linesize);
  return result;
}

AvFrame FrameMaker::oriented(const AVFrame& picture, const Orientation& turn) {
  const auto format = static_cast<AVPixelFormat>(picture.format);
  AvFrame result = pooled(format, turn.transpose ? picture.height : picture.width,
                          turn.transpose ? picture.width : picture.height);
  const AVPixFmtDescriptor& description = *av_pix_fmt_desc_get(format);
  for (int plane = 0; plane < av_pix_fmt_count_planes(format); ++plane) {
    const int shift_x = plane == 0 ? 0 : description.log2_chroma_w;
    const int shift_y = plane == 0 ? 0 : description.log2_chroma_h;
    const int element_bytes = format == AV_PIX_FMT_RGB24                ? 3
                              : format == AV_PIX_FMT_NV12 && plane == 1 ? 2
                                                                        : 1;
    orient_plane(turn, {picture.data[plane], picture.linesize[plane]},
                 AV_CEIL_RSHIFT(picture.width, shift_x), AV_CEIL_RSHIFT(picture.height, shift_y),
                 element_bytes, result->data[plane], result->linesize[plane]);
  }
  return result;
}

Frame FrameMaker::make(AvFrame picture) {
  const ColorMatrix matrix = matrix_of(*picture, codec_);
  const ColorRange range = range_of(*picture, codec_);
  const Orientation turn = orientation(*picture);
  const bool on_gpu = picture->format == AV_PIX_FMT_CUDA;
  Frame frame = on_gpu ? gpu_->wrap(std::move(picture), turn) : on_host(std::move(picture), turn);
  frame.matrix = matrix;
  frame.range = range;
  return frame;
}

Frame FrameMaker::on_host(AvFrame picture, const Orientation& turn) {
  Frame frame;
  const AVPixelFormat stored = without_range(static_cast<AVPixelFormat>(picture->format));
  const AVPixelFormat format = nearest_format(stored);
  picture->format = stored;
  if (format != stored) picture = converted(*picture, format);
  // Bottom-up pictures have negative strides, which only a copy turns round.
  if (!turn.is_upright() || picture->linesize[0] < 0) picture = oriented(*picture, turn);

  frame.format = to_pixel_format(format);
  frame.info.width = picture->width;
  frame.info.height = picture->height;
  for (int plane = 0; plane < plane_count(frame.format); ++plane) {
    frame.planes[static_cast<std::size_t>(plane)] = {picture->data[plane],
                                                     picture->linesize[plane]};
  }
  frame.storage = std::shared_ptr<AVFrame>(picture.release(), AvDelete<av_frame_free>{});
  return frame;
}

}  // namespace peregrine::video
