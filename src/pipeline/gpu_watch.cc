// SPDX-License-Identifier: Apache-2.0
#include "pipeline/gpu_watch.h"

#include <algorithm>
#include <chrono>

namespace peregrine::pipeline {
namespace {

constexpr int kWarmUpSamples = 10;  // engines, decoders and pools fill
constexpr std::size_t kMostPoints = 4096;
constexpr double kLeastSeconds = 60;
constexpr double kLeastGrowth = 32 << 20;
constexpr double kStraight = 0.8;

}  // namespace

MemoryTrend memory_trend(const std::vector<double>& seconds, const std::vector<double>& bytes) {
  const auto count = static_cast<double>(seconds.size());
  if (seconds.size() < 3 || seconds.size() != bytes.size()) return {};
  double mean_x = 0, mean_y = 0;
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    mean_x += seconds[i] / count;
    mean_y += bytes[i] / count;
  }
  double xx = 0, xy = 0, yy = 0;
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    const double x = seconds[i] - mean_x, y = bytes[i] - mean_y;
    xx += x * x;
    xy += x * y;
    yy += y * y;
  }
  if (xx == 0 || yy == 0) return {};
  return {xy / xx, xy * xy / (xx * yy)};
}

GpuWatch::GpuWatch(int device, std::function<bool()> is_steady)
    : device_(device), is_steady_(std::move(is_steady)), monitor_(device) {
  use_.device = device;
  thread_ = std::thread([this] { loop(); });
}

GpuWatch::~GpuWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void GpuWatch::loop() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; })) {
    lock.unlock();
    take_sample();
    lock.lock();
  }
}

void GpuWatch::take_sample() {
  const GpuSample sample = monitor_.sample();
  const bool steady = is_steady_();
  const std::lock_guard lock(mutex_);
  if (steady && !allocations_at_steady_)
    allocations_at_steady_ = engine::gpu_memory(device_).device_allocations;
  ++use_.samples;
  sm_sum_ += std::max(0, sample.sm_percent);
  decoder_sum_ += std::max(0, sample.decoder_percent);
  use_.mean_sm_percent = sm_sum_ / use_.samples;
  use_.mean_decoder_percent = decoder_sum_ / use_.samples;
  use_.used_bytes = std::max<std::int64_t>(0, sample.used_bytes);
  use_.total_bytes = std::max<std::int64_t>(0, sample.total_bytes);
  use_.peak_used_bytes = std::max(use_.peak_used_bytes, use_.used_bytes);
  if (use_.samples <= kWarmUpSamples || sample.used_bytes < 0) return;
  seconds_.push_back(use_.samples);
  bytes_.push_back(static_cast<double>(use_.used_bytes));
  if (seconds_.size() == kMostPoints) {  // a run of days keeps every other point, again and again
    for (std::size_t i = 0; 2 * i < kMostPoints; ++i) {
      seconds_[i] = seconds_[2 * i];
      bytes_[i] = bytes_[2 * i];
    }
    seconds_.resize(kMostPoints / 2);
    bytes_.resize(kMostPoints / 2);
  }
}

GpuUse GpuWatch::last() {
  take_sample();
  return use();
}

GpuUse GpuWatch::use() const {
  const std::lock_guard lock(mutex_);
  GpuUse use = use_;
  use.memory = engine::gpu_memory(device_);
  if (allocations_at_steady_)
    use.allocations_when_steady = use.memory.device_allocations - *allocations_at_steady_;
  const MemoryTrend trend = memory_trend(seconds_, bytes_);
  use.slope_bytes_per_hour = trend.bytes_per_second * 3600;
  const double span = seconds_.empty() ? 0 : seconds_.back() - seconds_.front();
  use.leaks = span >= kLeastSeconds && trend.fit >= kStraight &&
              trend.bytes_per_second * span >= kLeastGrowth;
  return use;
}

}  // namespace peregrine::pipeline
