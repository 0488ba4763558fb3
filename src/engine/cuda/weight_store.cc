// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/weight_store.h"

#include <cstring>
#include <functional>
#include <string_view>

namespace peregrine::cuda {

std::int64_t WeightStore::add(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t hash = std::hash<std::string_view>()(text);
  const auto [first, last] = parts_.equal_range(hash);
  for (auto part = first; part != last; ++part) {
    const auto [offset, size] = part->second;
    if (size == bytes.size() && std::memcmp(bytes_.data() + offset, bytes.data(), size) == 0) {
      return static_cast<std::int64_t>(offset);
    }
  }
  constexpr std::size_t kAlignment = 256;
  const std::size_t offset = (bytes_.size() + kAlignment - 1) / kAlignment * kAlignment;
  bytes_.resize(offset + bytes.size());
  if (!bytes.empty()) std::memcpy(bytes_.data() + offset, bytes.data(), bytes.size());
  parts_.emplace(hash, Part{offset, bytes.size()});
  return static_cast<std::int64_t>(offset);
}

}  // namespace peregrine::cuda
