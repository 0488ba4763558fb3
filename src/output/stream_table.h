// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "peregrine/error.h"

namespace peregrine::output {

/// What a sink keeps for each stream. Streams open from any thread; an entry stays where it is and
/// belongs to the thread of its stream.
template <typename T>
class StreamTable {
 public:
  template <typename... Arguments>
  T& open(int stream, Arguments&&... arguments) {
    auto made = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    const std::lock_guard lock(mutex_);
    const auto [place, fresh] = streams_.try_emplace(stream, std::move(made));
    if (!fresh) {
      throw Error(ErrorCode::kInternal,
                  "output: stream " + std::to_string(stream) + " was opened twice");
    }
    return *place->second;
  }
  T& at(int stream) {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(stream);
    if (found == streams_.end()) {
      throw Error(ErrorCode::kInternal,
                  "output: stream " + std::to_string(stream) + " was never opened");
    }
    return *found->second;
  }
  /// Whether the only stream is number 0, so that its file needs no number.
  bool only_first() const {
    const std::lock_guard lock(mutex_);
    return streams_.size() == 1 && streams_.begin()->first == 0;
  }
  /// `visit(stream, entry)` in order of the streams; when none is writing any more. One that throws
  /// does not keep the others from their turn; the first exception comes out at the end.
  template <typename Visit>
  void for_each(Visit&& visit) {
    const std::lock_guard lock(mutex_);
    std::exception_ptr first;
    for (auto& [stream, entry] : streams_) {
      try {
        visit(stream, *entry);
      } catch (...) {
        if (!first) first = std::current_exception();
      }
    }
    if (first) std::rethrow_exception(first);
  }

 private:
  mutable std::mutex mutex_;
  std::map<int, std::unique_ptr<T>> streams_;
};

}  // namespace peregrine::output
