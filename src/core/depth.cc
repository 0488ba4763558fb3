// SPDX-License-Identifier: Apache-2.0
#include "peregrine/depth.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace peregrine {

float DepthMap::normalized(std::size_t cell) const {
  const float value = values[cell];
  if (!std::isfinite(value) || !(max > min)) return 0;
  // In double: the range of two floats may overflow a float.
  return static_cast<float>((static_cast<double>(value) - min) / (static_cast<double>(max) - min));
}

float DepthMap::median() const {
  std::vector<float> finite;
  finite.reserve(values.size());
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
               [](float value) { return std::isfinite(value); });
  if (finite.empty()) return 0;
  const auto middle = finite.begin() + (std::ssize(finite) - 1) / 2;
  std::nth_element(finite.begin(), middle, finite.end());
  return *middle;
}

}  // namespace peregrine
