// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "peregrine/frame.h"

// Appending to a line of text, without streams, locales or allocations once the line has grown.
namespace peregrine::output {

void append_integer(std::string& line, std::int64_t value);
/// Rounded to `decimals` (0 to 9) places, half away from zero, without trailing zeros: "0.5", "12".
/// JSON has no NaN: what is not finite becomes "null".
void append_decimal(std::string& line, double value, int decimals);
/// A JSON array of such numbers.
void append_decimals(std::string& line, std::span<const float> values, int decimals);
/// A PTS as exact decimal seconds, rounded to a microsecond: "0.48". 0 for a time base of no
/// meaning.
void append_seconds(std::string& line, std::int64_t pts, Rational time_base);
/// `text` with each byte that is not part of well-formed UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view text);
/// A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD: file names may be
/// anything, JSON may not.
void append_json_string(std::string& line, std::string_view text);

}  // namespace peregrine::output
