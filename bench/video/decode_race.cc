// SPDX-License-Identifier: Apache-2.0
#include "decode_race.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>

#include <fmt/format.h>

#include "core/cuda/check.h"
#include "core/machine.h"
#include "core/stopwatch.h"
#include "forked.h"
#include "peregrine/error.h"

namespace peregrine::bench {
namespace {

constexpr int kSlices = 5;
constexpr auto kWarmUp = std::chrono::milliseconds(400);

double device_bytes_used() {
  std::size_t free = 0, total = 0;
  CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return static_cast<double>(total - free);
}

// One process's streams: a thread each, counting what it decodes until it is told to stop.
class Streams {
 public:
  Streams(const Race& race, int count) : race_(race), counters_(static_cast<std::size_t>(count)) {
    if (!race.sharing.own_streams) shared_ = std::make_unique<DecodeDevice>(race.sharing);
    for (Counter& counter : counters_) {
      threads_.emplace_back([this, &counter] { decode(counter); });
    }
  }
  ~Streams() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  void wait_for_first_frames() const {
    for (const Counter& counter : counters_) {
      while (counter.frames == 0) {
        check();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  }
  std::int64_t frames() const {
    check();
    std::int64_t sum = 0;
    for (const Counter& counter : counters_) sum += counter.frames;
    return sum;
  }

 private:
  struct alignas(64) Counter {
    std::atomic<std::int64_t> frames{0};
  };

  void decode(Counter& counter) {
    try {
      CUDA_CHECK(cudaSetDevice(0));
      std::unique_ptr<DecodeDevice> own;
      if (!shared_) own = std::make_unique<DecodeDevice>(race_.sharing);
      ClipDecoder decoder(race_.clip, ClipDecoder::Ending::kLoop, own ? *own : *shared_,
                          race_.extra_frames);
      std::deque<video::AvFrame> held;
      while (!stop_) {
        held.push_back(decoder.next());
        if (held.size() > static_cast<std::size_t>(race_.held)) held.pop_front();
        ++counter.frames;
      }
    } catch (const std::exception& error) {
      const std::lock_guard lock(mutex_);
      if (error_.empty()) error_ = error.what();
    }
  }
  void check() const {
    const std::lock_guard lock(mutex_);
    if (!error_.empty()) throw Error(ErrorCode::kGpu, error_);
  }

  const Race& race_;
  std::unique_ptr<DecodeDevice> shared_;
  std::vector<Counter> counters_;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::string error_;
  std::vector<std::thread> threads_;
};

// In the new process: opens, says "ready", waits for "go", measures, and answers in one line.
void measure(const Race& race, int count, Lines& parent) {
  const DecodeDevice keeps_context(Sharing{race.sharing.runtime_context, false});
  CUDA_CHECK(cudaSetDevice(0));
  const double before = device_bytes_used();
  Streams streams(race, count);
  streams.wait_for_first_frames();
  parent.write("ready");
  if (parent.read() != "go") return;
  std::this_thread::sleep_for(kWarmUp);
  const double used = device_bytes_used();

  const double cpu_start = process_cpu_seconds();
  const Stopwatch whole;
  std::string rates;
  for (int slice = 0; slice < kSlices; ++slice) {
    const std::int64_t from = streams.frames();
    const Stopwatch watch;
    std::this_thread::sleep_for(std::chrono::duration<double>(race.seconds / kSlices));
    const std::int64_t decoded = streams.frames() - from;
    rates += fmt::format(" {}", static_cast<double>(decoded) / watch.seconds());
  }
  const double cores = (process_cpu_seconds() - cpu_start) / whole.seconds();
  parent.write(fmt::format("{} {} {}{}", before, used, cores, rates));
  parent.read();  // all processes decode until all have measured
}

}  // namespace

RaceResult run_race(const Race& race) {
  std::vector<Forked> processes;
  for (int i = 0; i < race.processes; ++i) {
    const int count = race.streams / race.processes + (i < race.streams % race.processes);
    processes.emplace_back([&race, count](Lines& parent) { measure(race, count, parent); });
  }
  RaceResult result;
  for (Forked& process : processes) {
    result.error = error_in(process.lines().read());
    if (!result.error.empty()) return result;
  }
  for (Forked& process : processes) process.lines().write("go");
  double before = 0, used = 0;
  std::vector<double> rates(kSlices, 0.0);
  for (Forked& process : processes) {
    const std::string line = process.lines().read();
    result.error = error_in(line);
    if (!result.error.empty()) return result;
    std::istringstream values(line);
    double its_before = 0, its_used = 0, cores = 0;
    values >> its_before >> its_used >> cores;
    before = before == 0 ? its_before : std::min(before, its_before);
    used = std::max(used, its_used);
    result.cpu_cores += cores;
    for (double& rate : rates) {
      double its_rate = 0;
      values >> its_rate;
      rate += its_rate;
    }
  }
  std::sort(rates.begin(), rates.end());
  result.frames_per_second = rates[kSlices / 2];
  result.lowest = rates.front();
  result.device_mib = (used - before) / 1048576.0;
  return result;
}

}  // namespace peregrine::bench
