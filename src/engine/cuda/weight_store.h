// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace peregrine::cuda {

/// The weights region while it grows: parts 256-byte aligned, equal contents stored once, however
/// many nodes and batches use them.
class WeightStore {
 public:
  /// Offset of the part.
  std::int64_t add(std::span<const std::byte> bytes);
  const std::vector<std::byte>& bytes() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  struct Part {
    std::size_t offset, size;
  };
  std::vector<std::byte> bytes_;
  std::unordered_multimap<std::size_t, Part> parts_;  // by hash of the contents
};

}  // namespace peregrine::cuda
