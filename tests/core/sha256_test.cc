// SPDX-License-Identifier: Apache-2.0
#include "core/sha256.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace peregrine {
namespace {

std::string hex_of(std::string_view text, Sha256::Means means) {
  Sha256 hash(means);
  hash.update(std::as_bytes(std::span(text.data(), text.size())));
  return to_hex(hash.digest());
}

class Sha256Means : public testing::TestWithParam<Sha256::Means> {};

// The examples of NIST's Secure Hash Standard (FIPS 180-4, SHA256.pdf and SHA2_Additional.pdf).
TEST_P(Sha256Means, EqualsNistExamples) {
  EXPECT_EQ(hex_of("", GetParam()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex_of("abc", GetParam()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", GetParam()),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex_of(std::string(1000000, 'a'), GetParam()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(hex_of(std::string(55, '\0'), GetParam()),
            "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7");
  EXPECT_EQ(hex_of(std::string(64, '\0'), GetParam()),
            "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
}

TEST_P(Sha256Means, PiecesChangeNothing) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 31);
  const std::string whole = hex_of(text, Sha256::Means::kPortable);
  for (const std::size_t piece : {1, 7, 63, 64, 65, 500}) {
    Sha256 hash(GetParam());
    for (std::size_t at = 0; at < text.size(); at += piece) {
      hash.update(std::as_bytes(std::span(text)).subspan(at, std::min(piece, text.size() - at)));
    }
    EXPECT_EQ(to_hex(hash.digest()), whole) << piece;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Sha256Means,
                         testing::Values(Sha256::Means::kFastest, Sha256::Means::kPortable));

}  // namespace
}  // namespace peregrine
