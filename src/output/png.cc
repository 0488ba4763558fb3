// SPDX-License-Identifier: Apache-2.0
// PNG by hand (ISO/IEC 15948): Cairo writes no 16-bit grey, and two formats are little to say.
#include "output/png.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "output/canvas.h"
#include "output/output_file.h"
#include "peregrine/error.h"

namespace peregrine::output {
namespace {

Color rgb_of(double luma, double cb, double cr, ColorMatrix matrix) {
  const LumaWeights weights = luma_weights(matrix);
  const double r = luma + 2 * (1 - weights.r) * cr;
  const double b = luma + 2 * (1 - weights.b) * cb;
  const double g = (luma - weights.r * r - weights.b * b) / weights.g;
  const auto byte = [](double value) {
    return static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
  };
  return {byte(r), byte(g), byte(b)};
}

Color pixel_at(const Frame& frame, int x, int y) {
  const auto sample = [&](std::size_t plane, int column, int row) {
    return frame.planes[plane].data[row * frame.planes[plane].stride + column];
  };
  if (frame.format == PixelFormat::kRgb24) {
    return {sample(0, 3 * x, y), sample(0, 3 * x + 1, y), sample(0, 3 * x + 2, y)};
  }
  const std::uint8_t luma = sample(0, x, y);
  if (frame.format == PixelFormat::kGray8) return {luma, luma, luma};
  int cb = 0, cr = 0;
  switch (frame.format) {
    case PixelFormat::kNv12:
      cb = sample(1, x / 2 * 2, y / 2);
      cr = sample(1, x / 2 * 2 + 1, y / 2);
      break;
    case PixelFormat::kYuv444p:
      cb = sample(1, x, y);
      cr = sample(2, x, y);
      break;
    default:
      cb = sample(1, x / 2, y / 2);
      cr = sample(2, x / 2, y / 2);
      break;
  }
  if (frame.range == ColorRange::kFull) return rgb_of(luma, cb - 128, cr - 128, frame.matrix);
  return rgb_of((luma - 16) * 255.0 / 219, (cb - 128) * 255.0 / 224, (cr - 128) * 255.0 / 224,
                frame.matrix);
}

enum class PngKind : std::uint8_t { kRgb8, kGrey16 };

// Rows of a picture as PNG wants them before compression: a filter byte, then each byte less the
// one a pixel to its left ("Sub"), which leaves little of smooth pictures and costs next to
// nothing.
class PngRows {
 public:
  PngRows(PngKind kind, int width, int height)
      : kind_(kind), width_(width), height_(height), row_bytes_(bytes_a_pixel() * width) {
    bytes_.reserve((row_bytes_ + 1) * static_cast<std::size_t>(height));
  }

  // `row`: of the kind's samples, high byte first.
  void add(std::string_view row) {
    const std::size_t pixel = bytes_a_pixel();
    bytes_ += '\1';
    bytes_ += row;
    char* const filtered = bytes_.data() + bytes_.size() - row_bytes_;
    for (std::size_t i = pixel; i < row_bytes_; ++i) {
      filtered[i] = static_cast<char>(row[i] - row[i - pixel]);
    }
  }

  std::string encode(const std::string& path) const {
    std::string header;
    append_word(header, static_cast<std::uint32_t>(width_));
    append_word(header, static_cast<std::uint32_t>(height_));
    header += kind_ == PngKind::kRgb8 ? '\x08' : '\x10';  // bits a sample
    header += kind_ == PngKind::kRgb8 ? '\x02' : '\x00';  // RGB, grey
    header.append(3, '\0');  // deflate, the usual filters, not interlaced
    std::string file = "\x89PNG\r\n\x1a\n";
    append_chunk(file, "IHDR", header);
    append_chunk(file, "IDAT", compressed(path));
    append_chunk(file, "IEND", "");
    return file;
  }

 private:
  std::size_t bytes_a_pixel() const { return kind_ == PngKind::kRgb8 ? 3 : 2; }

  // Depth maps come with every frame: they take the fastest level.
  std::string compressed(const std::string& path) const {
    uLongf size = compressBound(bytes_.size());
    std::string out(size, '\0');
    const int level = kind_ == PngKind::kRgb8 ? Z_DEFAULT_COMPRESSION : Z_BEST_SPEED;
    const int status =
        compress2(reinterpret_cast<Bytef*>(out.data()), &size,
                  reinterpret_cast<const Bytef*>(bytes_.data()), bytes_.size(), level);
    if (status != Z_OK) {
      throw Error(ErrorCode::kOutput, fmt::format("cannot write '{}': the picture of {}x{} cannot "
                                                  "be compressed ({})",
                                                  path, width_, height_, zError(status)));
    }
    out.resize(size);
    return out;
  }

  static void append_word(std::string& to, std::uint32_t word) {
    for (const int shift : {24, 16, 8, 0}) to += static_cast<char>(word >> shift);
  }

  static void append_chunk(std::string& file, std::string_view type, std::string_view data) {
    append_word(file, static_cast<std::uint32_t>(data.size()));
    const std::size_t checked = file.size();  // the checksum covers type and data
    file += type;
    file += data;
    append_word(file, static_cast<std::uint32_t>(
                          crc32(0, reinterpret_cast<const Bytef*>(file.data() + checked),
                                static_cast<uInt>(file.size() - checked))));
  }

  const PngKind kind_;
  const int width_, height_;
  const std::size_t row_bytes_;
  std::string bytes_;
};

void save(const std::string& path, const PngRows& rows) {
  OutputFile file(partial_path(path));
  file.write(rows.encode(path));
  file.close();
  rename_into_place(file.path(), path);
}

}  // namespace

void write_png(const std::string& path, const Frame& frame) {
  require_host_picture(frame);
  PngRows rows(PngKind::kRgb8, frame.info.width, frame.info.height);
  std::string row;
  for (int y = 0; y < frame.info.height; ++y) {
    row.clear();
    for (int x = 0; x < frame.info.width; ++x) {
      const Color color = pixel_at(frame, x, y);
      for (const std::uint8_t value : {color.r, color.g, color.b}) row += static_cast<char>(value);
    }
    rows.add(row);
  }
  save(path, rows);
}

void write_png16(const std::string& path, int width, int height,
                 std::span<const std::uint16_t> levels) {
  if (width <= 0 || height <= 0 ||
      levels.size() != static_cast<std::size_t>(width) * static_cast<std::size_t>(height)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} levels are no picture of {}x{}", levels.size(), width, height));
  }
  PngRows rows(PngKind::kGrey16, width, height);
  std::string row;
  for (; !levels.empty(); levels = levels.subspan(static_cast<std::size_t>(width))) {
    row.clear();
    for (const std::uint16_t level : levels.first(static_cast<std::size_t>(width))) {
      row += static_cast<char>(level >> 8);
      row += static_cast<char>(level & 0xFF);
    }
    rows.add(row);
  }
  save(path, rows);
}

}  // namespace peregrine::output
