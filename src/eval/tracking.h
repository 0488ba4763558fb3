// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "eval/records.h"

namespace peregrine::eval {

constexpr int kHotaLevels = 19;  ///< localisation 0.05, 0.10 ... 0.95

/// The measures of multi-object tracking: HOTA (Luiten et al., 2020), CLEAR (Bernardin and
/// Stiefelhagen, 2008) and identity F1 (Ristani et al., 2016), as TrackEval computes them.
struct TrackingReport {
  double hota = 0, detection_accuracy = 0, association_accuracy = 0,
         localisation_accuracy = 0;  ///< means over levels
  std::array<double, kHotaLevels> hota_at{};
  double mota = 0, motp = 0;
  std::int64_t switches = 0, missed = 0, invented = 0, matched = 0;
  double idf1 = 0, id_precision = 0, id_recall = 0;
  std::int64_t truth_tracks = 0, result_tracks = 0;
};

/// Boxes match from IoU 0.5 on (HOTA: from each level on), within one class only. Objects of the
/// truth that are to be ignored, and what a result has in their place, are left out first, as in
/// the MOT challenge. Frames must be in order; streams are separate videos.
TrackingReport measure_tracking(std::span<const FramePair> frames, std::span<const int> classes);

}  // namespace peregrine::eval
