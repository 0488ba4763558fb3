// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "eval/records.h"

namespace peregrine::eval {

struct ReidReport {
  double rank1 = 0;          ///< share of queries whose nearest embedding is of the same identity
  std::int64_t queries = 0;  ///< embeddings that have a partner to be found
  std::int64_t identities = 0;
};

/// Takes each found object with an embedding for the true one of its class that it overlaps most
/// (IoU 0.5 and more) and asks: of all embeddings of its class at least `apart_seconds` away in
/// time, whose is nearest by cosine? At most `limit` embeddings take part, evenly chosen.
ReidReport measure_reid(std::span<const FramePair> frames, std::span<const int> classes,
                        double apart_seconds = 1, std::size_t limit = 3000);

}  // namespace peregrine::eval
