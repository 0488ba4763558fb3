// SPDX-License-Identifier: Apache-2.0
#include "output/text.h"

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace peregrine::output {
namespace {

std::string decimal(double value, int decimals) {
  std::string text;
  append_decimal(text, value, decimals);
  return text;
}

std::string seconds(std::int64_t pts, Rational time_base) {
  std::string text;
  append_seconds(text, pts, time_base);
  return text;
}

std::string quoted(std::string_view input) {
  std::string text;
  append_json_string(text, input);
  return text;
}

TEST(Text, DecimalsAreRoundedAndTrimmed) {
  EXPECT_EQ(decimal(12, 2), "12");
  EXPECT_EQ(decimal(0.5, 2), "0.5");
  EXPECT_EQ(decimal(1920.126, 2), "1920.13");
  EXPECT_EQ(decimal(0.004, 2), "0");
  EXPECT_EQ(decimal(-0.004, 2), "0");
  EXPECT_EQ(decimal(-0.05, 2), "-0.05");
  EXPECT_EQ(decimal(-1.5, 2), "-1.5");
  EXPECT_EQ(decimal(100, 0), "100");
  EXPECT_EQ(decimal(0.000012, 6), "0.000012");
  EXPECT_EQ(decimal(99.999, 2), "100");
  EXPECT_EQ(decimal(0.91f, 4), "0.91") << "a float's digits beyond its precision are not shown";
  EXPECT_EQ(decimal(1e17, 6), "1e+17");
}

TEST(Text, DecimalsReadBackWithinHalfAUnit) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> uniform(-9000, 9000);
  for (int i = 0; i < 20000; ++i) {
    const double value = uniform(random);
    EXPECT_NEAR(std::strtod(decimal(value, 3).c_str(), nullptr), value, 0.5001e-3);
  }
}

TEST(Text, WhatIsNotFiniteIsNull) {
  EXPECT_EQ(decimal(std::numeric_limits<double>::quiet_NaN(), 2), "null");
  EXPECT_EQ(decimal(-std::numeric_limits<double>::infinity(), 2), "null");
}

TEST(Text, SecondsAreExact) {
  EXPECT_EQ(seconds(12, {1, 25}), "0.48");
  EXPECT_EQ(seconds(1001, {1001, 30000}), "33.400033");
  EXPECT_EQ(seconds(-3003, {1, 90000}), "-0.033367");
  EXPECT_EQ(seconds(0, {1, 90000}), "0");
  // 4 years at 90 kHz and nanoseconds since 1970: a double of seconds, or 64 bits, would not do.
  EXPECT_EQ(seconds(11352960000001, {1, 90000}), "126144000.000011");
  EXPECT_EQ(seconds(1700000000123456789, {1, 1000000000}), "1700000000.123457");
  EXPECT_EQ(seconds(5, {1, 0}), "0");
}

TEST(Text, StringsAreValidJson) {
  EXPECT_EQ(quoted("street.mp4"), R"("street.mp4")");
  EXPECT_EQ(quoted("a\"b\\c\n\t\r\x01"), R"("a\"b\\c\n\t\r\u0001")");
  EXPECT_EQ(quoted("Stra\xC3\x9F"
                   "e \xE2\x82\xAC \xF0\x9F\x9A\x97"),
            "\"Stra\xC3\x9F"
            "e \xE2\x82\xAC \xF0\x9F\x9A\x97\"");
}

TEST(Text, BytesThatAreNotUtf8AreReplaced) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(quoted("a\xFF"
                   "b"),
            "\"a" + bad + "b\"");
  EXPECT_EQ(quoted("\xC3"), "\"" + bad + "\"") << "cut short";
  EXPECT_EQ(quoted("\xC0\x80"), "\"" + bad + bad + "\"") << "overlong";
  EXPECT_EQ(quoted("\xE0\x80\x80"), "\"" + bad + bad + bad + "\"") << "overlong";
  EXPECT_EQ(quoted("\xED\xA0\x80"), "\"" + bad + bad + bad + "\"") << "surrogate";
  EXPECT_EQ(quoted("\xF4\x90\x80\x80"), "\"" + bad + bad + bad + bad + "\"") << "past U+10FFFF";
}

}  // namespace
}  // namespace peregrine::output
