// SPDX-License-Identifier: Apache-2.0
#include "eval/reid.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "eval/similarity.h"

namespace peregrine::eval {
namespace {

struct Sighting {
  const Object* found;
  std::tuple<int, int, std::int64_t> identity;  // stream, class, track
  double seconds;
};

std::vector<Sighting> sightings_of(std::span<const FramePair> frames,
                                   std::span<const int> classes) {
  std::vector<Sighting> sightings;
  for (const FramePair& pair : frames) {
    for (const Object& found : pair.result->objects) {
      const bool chosen = classes.empty() || std::find(classes.begin(), classes.end(),
                                                       found.class_id) != classes.end();
      if (!chosen || found.embedding.empty()) continue;
      const Object* best = nullptr;
      double most = 0.5;
      for (const Object& truth : pair.truth->objects) {
        if (truth.class_id != found.class_id || truth.ignore || truth.track == kNoTrack) continue;
        const double overlap = similarity(Likeness::kBox, found, truth);
        if (overlap >= most) most = overlap, best = &truth;
      }
      if (best != nullptr)
        sightings.push_back(
            {&found, {pair.truth->stream, best->class_id, best->track}, pair.truth->seconds});
    }
  }
  return sightings;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return -2;
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    dot += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
  return dot / std::sqrt(std::max(aa * bb, 1e-30));
}

}  // namespace

ReidReport measure_reid(std::span<const FramePair> frames, std::span<const int> classes,
                        double apart_seconds, std::size_t limit) {
  std::vector<Sighting> all = sightings_of(frames, classes);
  if (all.size() > limit) {
    std::vector<Sighting> some;
    for (std::size_t i = 0; i < limit; ++i) some.push_back(all[i * all.size() / limit]);
    all = std::move(some);
  }
  ReidReport report;
  std::set<std::tuple<int, int, std::int64_t>> identities;
  double right = 0;
  for (const Sighting& query : all) {
    identities.insert(query.identity);
    const Sighting* nearest = nullptr;
    double best = -3;
    bool askable = false;
    for (const Sighting& other : all) {
      const bool same_stream = std::get<0>(other.identity) == std::get<0>(query.identity);
      if (other.found->class_id != query.found->class_id) continue;
      if (same_stream && std::abs(other.seconds - query.seconds) < apart_seconds) continue;
      askable |= other.identity == query.identity;
      const double alike = cosine(query.found->embedding, other.found->embedding);
      if (alike > best) best = alike, nearest = &other;
    }
    if (!askable) continue;
    ++report.queries;
    right += nearest->identity == query.identity;
  }
  report.identities = static_cast<std::int64_t>(identities.size());
  report.rank1 = report.queries > 0 ? right / static_cast<double>(report.queries) : 0;
  return report;
}

}  // namespace peregrine::eval
