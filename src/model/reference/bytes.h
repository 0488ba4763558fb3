// SPDX-License-Identifier: Apache-2.0
// Elements as opaque bytes, for ops that move tensors of any dtype.
#pragma once

#include <cstring>

#include "peregrine/tensor.h"

namespace peregrine::model::reference {

class Bytes {
 public:
  explicit Bytes(const Tensor& tensor)
      : data_(static_cast<const char*>(tensor.data())), size_(size_of(tensor.dtype())) {}
  const void* at(std::int64_t index) const {
    return data_ + index * static_cast<std::int64_t>(size_);
  }

 private:
  const char* data_;
  std::size_t size_;
};

class MutableBytes {
 public:
  explicit MutableBytes(Tensor& tensor)
      : data_(static_cast<char*>(tensor.data())), size_(size_of(tensor.dtype())) {}
  void put(std::int64_t index, const void* element) {
    char* to = data_ + index * static_cast<std::int64_t>(size_);
    switch (size_) {  // constant sizes become single moves
      case 1: std::memcpy(to, element, 1); break;
      case 2: std::memcpy(to, element, 2); break;
      case 4: std::memcpy(to, element, 4); break;
      default: std::memcpy(to, element, 8); break;
    }
  }

 private:
  char* data_;
  std::size_t size_;
};

}  // namespace peregrine::model::reference
