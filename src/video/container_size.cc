// SPDX-License-Identifier: Apache-2.0
#include "video/container_size.h"

#include <array>
#include <cstddef>
#include <fstream>
#include <string_view>

namespace peregrine::video {
namespace {

using Head = std::array<unsigned char, 16>;

std::uint64_t big_endian(const unsigned char* bytes, int count) {
  std::uint64_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | bytes[i];
  return value;
}

std::uint64_t little_endian32(const unsigned char* bytes) {
  return bytes[0] | std::uint64_t{bytes[1]} << 8 | std::uint64_t{bytes[2]} << 16 |
         std::uint64_t{bytes[3]} << 24;
}

std::string_view tag(const unsigned char* bytes) {
  return {reinterpret_cast<const char*>(bytes), 4};
}

bool is_first_box(std::string_view type) {
  return type == "ftyp" || type == "moov" || type == "mdat" || type == "wide" || type == "free";
}

/// Size of the MP4 box or RIFF chunk that starts with `head`; 0 when it reaches to the end.
std::uint64_t box_size(const Head& head, bool riff) {
  if (riff) return 8 + little_endian32(head.data() + 4) + (head[4] & 1U);
  const std::uint64_t size = big_endian(head.data(), 4);
  return size == 1 ? big_endian(head.data() + 8, 8) : size;
}

class Bytes {
 public:
  explicit Bytes(const std::string& path) : file_(path, std::ios::binary | std::ios::ate) {
    size_ = file_ ? static_cast<std::uint64_t>(file_.tellg()) : 0;
  }
  std::uint64_t size() const { return size_; }
  /// What is missing behind the end reads as zero.
  Head at(std::uint64_t offset) {
    Head head{};
    file_.clear();
    file_.seekg(static_cast<std::streamoff>(offset));
    file_.read(reinterpret_cast<char*>(head.data()), head.size());
    return head;
  }

 private:
  std::ifstream file_;
  std::uint64_t size_ = 0;
};

std::uint64_t end_of_boxes(Bytes& bytes, bool riff) {
  std::uint64_t offset = 0;
  while (offset + 8 <= bytes.size()) {
    const Head head = bytes.at(offset);
    if (riff && tag(head.data()) != "RIFF") return offset;  // padding some writers leave
    const std::uint64_t size = box_size(head, riff);
    if (size < 8 || size > UINT64_MAX / 2) return offset;
    offset += size;
  }
  const bool cut_head = !riff && offset < bytes.size();
  return cut_head ? offset + 8 : offset;
}

/// Length in bytes of an EBML number, from its first byte: 1 to 8, or 9 for an invalid one.
int ebml_length(unsigned char first) {
  int length = 1;
  for (unsigned mask = 0x80; length <= 8 && (first & mask) == 0; mask >>= 1) ++length;
  return length;
}

std::optional<std::uint64_t> ebml_size(const unsigned char* bytes) {
  const int length = ebml_length(bytes[0]);
  if (length > 8) return std::nullopt;
  const std::uint64_t mask = (std::uint64_t{1} << (7 * length)) - 1;
  const std::uint64_t value = big_endian(bytes, length) & mask;
  return value == mask ? std::nullopt : std::optional(value);  // all ones: unknown
}

std::uint64_t end_of_matroska(Bytes& bytes) {
  constexpr int kIdBytes = 4;  // both the EBML header's and the segment's
  const Head header = bytes.at(0);
  const auto header_size = ebml_size(header.data() + kIdBytes);
  if (!header_size || *header_size > bytes.size()) return 0;
  const std::uint64_t segment = kIdBytes + ebml_length(header[kIdBytes]) + *header_size;
  const Head head = bytes.at(segment);
  if (big_endian(head.data(), kIdBytes) != 0x18538067) return 0;
  const auto size = ebml_size(head.data() + kIdBytes);
  return size ? segment + kIdBytes + ebml_length(head[kIdBytes]) + *size : 0;
}

}  // namespace

std::optional<Shortfall> find_shortfall(const std::string& path) {
  Bytes bytes(path);
  if (bytes.size() < sizeof(Head)) return std::nullopt;
  const Head head = bytes.at(0);
  std::uint64_t end = 0;
  if (is_first_box(tag(head.data() + 4))) {
    end = end_of_boxes(bytes, false);
  } else if (tag(head.data()) == "RIFF") {
    end = end_of_boxes(bytes, true);
  } else if (big_endian(head.data(), 4) == 0x1A45DFA3) {
    end = end_of_matroska(bytes);
  }
  if (end <= bytes.size()) return std::nullopt;
  return Shortfall{static_cast<std::int64_t>(bytes.size()), static_cast<std::int64_t>(end)};
}

}  // namespace peregrine::video
