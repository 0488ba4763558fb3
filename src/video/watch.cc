// SPDX-License-Identifier: Apache-2.0
#include "video/watch.h"

#include <algorithm>
#include <thread>

namespace peregrine::video {

bool Watch::sleep(double seconds) const {
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (!stopped()) {
    const std::chrono::duration<double> left = end - Clock::now();
    if (left.count() <= 0) return true;
    std::this_thread::sleep_for(std::min(left, std::chrono::duration<double>(0.02)));
  }
  return false;
}

}  // namespace peregrine::video
