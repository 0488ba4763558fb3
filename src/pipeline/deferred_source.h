// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "video/source.h"

namespace peregrine::pipeline {

/// A source that is opened by its first `read`, in the thread that reads: sixty-four cameras are
/// connected side by side, and one that does not answer delays no other. A failed open comes out of
/// that first `read`.
class DeferredSource : public video::Source {
 public:
  /// Opens the source; gives up soon once `cancel` is set.
  using Open = std::function<std::unique_ptr<video::Source>(const std::atomic<bool>& cancel)>;

  explicit DeferredSource(Open open) : open_(std::move(open)) {}

  /// Empty until the first `read` has returned; then the opened source's.
  const video::SourceInfo& info() const override {
    static const video::SourceInfo unopened;
    const video::Source* source = opened_.load();
    return source ? source->info() : unopened;
  }

  video::SourceEvent read() override {
    if (!source_) {
      if (interrupted_) return video::EndOfStream{};  // Ctrl-C while other sources were opened
      source_ = open_(interrupted_);
      opened_ = source_.get();
      if (interrupted_) source_->interrupt();  // it may have come between the two lines above
    }
    return source_->read();
  }

  void interrupt() noexcept override {
    interrupted_ = true;
    if (video::Source* source = opened_.load()) source->interrupt();
  }

  std::int64_t corrupt_packets() const override {
    const video::Source* source = opened_.load();
    return source ? source->corrupt_packets() : 0;
  }

 private:
  Open open_;
  std::unique_ptr<video::Source> source_;
  std::atomic<video::Source*> opened_{nullptr};
  std::atomic<bool> interrupted_{false};
};

}  // namespace peregrine::pipeline
