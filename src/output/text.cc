// SPDX-License-Identifier: Apache-2.0
#include "output/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

namespace peregrine::output {
namespace {

constexpr std::array<double, 10> kPowersOfTen = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

// `scaled` / 10^decimals.
void append_scaled(std::string& line, std::int64_t scaled, int decimals) {
  std::array<char, 24> digits;
  const bool negative = scaled < 0;
  const std::uint64_t magnitude =
      negative ? 0 - static_cast<std::uint64_t>(scaled) : static_cast<std::uint64_t>(scaled);
  if (negative) line += '-';
  const char* end = std::to_chars(digits.data(), digits.data() + digits.size(), magnitude).ptr;
  const auto count = static_cast<int>(end - digits.data());
  const int whole = count - decimals;
  if (whole > 0) {
    line.append(digits.data(), static_cast<std::size_t>(whole));
  } else {
    line += '0';
  }
  int last = count;  // behind the last digit that is not a trailing zero
  while (last > whole && last > 0 && digits[static_cast<std::size_t>(last) - 1] == '0') --last;
  if (last <= whole || magnitude == 0) return;
  line += '.';
  for (int i = whole; i < last; ++i) line += i < 0 ? '0' : digits[static_cast<std::size_t>(i)];
}

// Length of the well-formed UTF-8 sequence at the start of `text`, 0 if there is none (Unicode
// standard, table 3-7).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xE0 && second < 0xA0) return 0;  // overlong
    if (first == 0xED && second > 0x9F) return 0;  // surrogate
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (first == 0xF0 && second < 0x90) return 0;
    if (first == 0xF4 && second > 0x8F) return 0;
    return 4;
  }
  return 0;
}

void append_escaped(std::string& line, char c) {
  switch (c) {
    case '"': line += "\\\""; return;
    case '\\': line += "\\\\"; return;
    case '\n': line += "\\n"; return;
    case '\r': line += "\\r"; return;
    case '\t': line += "\\t"; return;
    default: break;
  }
  if (static_cast<unsigned char>(c) < 0x20) {
    constexpr char kHex[] = "0123456789abcdef";
    line += "\\u00";
    line += kHex[(c >> 4) & 0xF];
    line += kHex[c & 0xF];
  } else {
    line += c;
  }
}

}  // namespace

void append_integer(std::string& line, std::int64_t value) { append_scaled(line, value, 0); }

void append_decimal(std::string& line, double value, int decimals) {
  if (!std::isfinite(value)) {
    line += "null";
    return;
  }
  const double scaled = value * kPowersOfTen[static_cast<std::size_t>(decimals)];
  if (std::abs(scaled) < 9e18) {
    append_scaled(line, std::llround(scaled), decimals);
    return;
  }
  std::array<char, 32> digits;  // no decimals are left at this size
  line.append(digits.data(),
              std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

void append_decimals(std::string& line, std::span<const float> values, int decimals) {
  line += '[';
  for (const float value : values) {
    append_decimal(line, value, decimals);
    line += ',';
  }
  if (values.empty()) {
    line += ']';
  } else {
    line.back() = ']';
  }
}

void append_seconds(std::string& line, std::int64_t pts, Rational time_base) {
  if (time_base.den <= 0) {
    line += '0';
    return;
  }
  // 128 bits: nanoseconds since 1970 times 10^6 do not fit 64.
  const __int128 scaled = static_cast<__int128>(pts) * time_base.num * 1'000'000;
  const __int128 half = time_base.den / 2;
  const __int128 rounded = (scaled + (scaled < 0 ? -half : half)) / time_base.den;
  append_scaled(line, static_cast<std::int64_t>(rounded), 6);
}

std::string valid_utf8(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    valid += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return valid;
}

void append_json_string(std::string& line, std::string_view text) {
  line += '"';
  for (const char c : valid_utf8(text)) append_escaped(line, c);
  line += '"';
}

}  // namespace peregrine::output
