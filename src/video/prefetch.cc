// SPDX-License-Identifier: Apache-2.0
#include "video/prefetch.h"

#include <algorithm>
#include <utility>

#include "core/thread_name.h"

namespace peregrine::video {
namespace {

PrefetchItem timed_read(Source& source) {
  PrefetchItem item;
  const auto start = std::chrono::steady_clock::now();
  try {
    item.event = source.read();
  } catch (...) {
    item.error = std::current_exception();
  }
  item.decode_time = std::chrono::steady_clock::now() - start;
  return item;
}

}  // namespace

Prefetch::Prefetch(std::unique_ptr<Source> source, PrefetchOptions options)
    : source_(std::move(source)),
      options_(std::move(options)),
      depth_(static_cast<std::size_t>(std::max(1, options_.depth))),
      thread_([this] { run(); }) {}

Prefetch::~Prefetch() {
  interrupt();
  thread_.join();
}

void Prefetch::interrupt() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  source_->interrupt();
  changed_.notify_all();
}

void Prefetch::run() {
  name_thread("decode");
  for (bool last = false; !last;) {
    PrefetchItem item = timed_read(*source_);
    last = item.is_last();
    if (!push(std::move(item))) {
      push({});  // interrupted while waiting for room: the frame in hand is given up
      last = true;
    }
    if (options_.on_ready) options_.on_ready();
  }
}

bool Prefetch::push(PrefetchItem item) {
  std::unique_lock lock(mutex_);
  if (std::holds_alternative<Frame>(item.event)) {
    if (source_->info().live) {
      drop_oldest_if_full();
    } else {
      changed_.wait(lock, [this] { return stopping_ || queue_.size() < depth_; });
      if (stopping_) return false;
    }
  }
  queue_.push_back(std::move(item));
  lock.unlock();
  changed_.notify_all();
  return true;
}

void Prefetch::drop_oldest_if_full() {
  if (queue_.size() < depth_) return;
  const auto oldest = std::find_if(queue_.begin(), queue_.end(), [](const PrefetchItem& item) {
    return std::holds_alternative<Frame>(item.event);
  });
  if (oldest == queue_.end()) return;
  queue_.erase(oldest);
  ++dropped_;
}

std::optional<PrefetchItem> Prefetch::next(std::chrono::nanoseconds timeout) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, timeout, [this] { return !queue_.empty(); })) return std::nullopt;
  return take_first(lock);
}

std::optional<PrefetchItem> Prefetch::try_next() {
  std::unique_lock lock(mutex_);
  if (queue_.empty()) return std::nullopt;
  return take_first(lock);
}

PrefetchItem Prefetch::take_first(std::unique_lock<std::mutex>& lock) {
  if (queue_.front().is_last()) return queue_.front();
  PrefetchItem item = std::move(queue_.front());
  queue_.pop_front();
  lock.unlock();
  changed_.notify_all();
  return item;
}

}  // namespace peregrine::video
