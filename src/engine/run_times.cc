// SPDX-License-Identifier: Apache-2.0
#include "engine/run_times.h"

#include <algorithm>
#include <numeric>

namespace peregrine::engine {

RunTimes summarize(std::vector<double> us) {
  std::sort(us.begin(), us.end());
  const auto last = static_cast<double>(us.size() - 1);
  const auto at = [&](double share) { return us[static_cast<std::size_t>(share * last)]; };
  const double sum = std::accumulate(us.begin(), us.end(), 0.0);
  return {at(0.5), at(0.95), at(0.99), sum / static_cast<double>(us.size()),
          static_cast<int>(us.size())};
}

}  // namespace peregrine::engine
