// SPDX-License-Identifier: Apache-2.0
#include "pipeline/pipeline.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/log.h"
#include "core/stopwatch.h"
#include "core/thread_name.h"
#include "pipeline/stream_lane.h"

namespace peregrine::pipeline {

int RunSummary::exit_code() const {
  if (fatal) return peregrine::exit_code(fatal->code());
  if (interrupted) return peregrine::exit_code(ErrorCode::kInterrupted);
  constexpr int kPartial = 6;
  const StreamSummary* failed = nullptr;
  bool any_answers = false;
  for (const StreamSummary& stream : streams) {
    if (stream.error && !failed) failed = &stream;
    any_answers = any_answers || stream.frames > 0 || !stream.error;
  }
  if (!failed) return 0;
  return any_answers ? kPartial : peregrine::exit_code(failed->error->code());
}

namespace {
constexpr std::int64_t kWarmUpFrames = 64;  // of each stream
}  // namespace

class Pipeline::Impl {
 public:
  Impl(PipelineOptions options, std::vector<StreamSpec> streams,
       std::function<std::unique_ptr<vision::Predictor>()> make_predictor,
       std::function<std::unique_ptr<vision::Embedder>()> make_embedder,
       std::vector<std::unique_ptr<output::Sink>> sinks)
      : options_(std::move(options)),
        make_predictor_(std::move(make_predictor)),
        make_embedder_(std::move(make_embedder)),
        sinks_(std::move(sinks)) {
    // Each worker may hold a full batch of one stream while the queue refills behind it.
    const int window = options_.window > 0
                           ? options_.window
                           : options_.queue_depth + options_.workers * options_.batch;
    for (std::size_t i = 0; i < streams.size(); ++i) {
      lanes_.push_back(std::make_unique<StreamLane>(
          static_cast<int>(i), std::move(streams[i]), options_, window, sinks_,
          StreamLane::Hooks{[this] { wake_gatherer(); },
                            [this](StreamLane* lane) { lane_done(lane); },
                            [this](const Error& error) { fail(error); }}));
    }
  }

  ~Impl() {
    stop();
    abort_lanes();
    join_workers();
    lanes_.clear();  // their threads use what is declared below: they end first
  }

  RunSummary run() {
    const std::vector<LedgerEntry> before = Ledger::snapshot();
    Stopwatch watch;
    if (options_.gpu >= 0) {
      const std::lock_guard lock(mutex_);
      gpu_watch_.emplace(options_.gpu, [this] { return is_steady(); });
    }
    start_workers();
    start_lanes();
    wait_for_lanes();
    const double seconds = watch.seconds();
    std::optional<GpuUse> gpu;
    if (gpu_watch_) gpu = gpu_watch_->last();  // before the workers let go of their memory
    join_workers();
    RunSummary summary = summarize(seconds);
    summary.transfers = Ledger::difference(before, Ledger::snapshot());
    summary.gpu = gpu;
    finish_sinks(summary);
    return summary;
  }

  void stop() noexcept {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      for (StreamLane* lane : active_) lane->interrupt();
    }
    lanes_changed_.notify_all();
    wake_gatherer();
  }

  Progress progress() const {
    Progress progress;
    progress.seconds = clock_.seconds();
    double decode_seconds = 0;
    bool length_known = true;
    progress.steady = is_steady();
    const std::lock_guard lock(mutex_);
    for (const auto& lane : lanes_) {
      progress.frames += lane->frames();
      progress.dropped_frames += lane->dropped_frames();
      lane->add_latency(progress.latency);
      decode_seconds += lane->decode_seconds();
      // A finished stream counts what it had, whatever its container promised.
      const std::int64_t expected = lane->finished() ? lane->frames() : lane->expected_frames();
      length_known = length_known && (expected > 0 || lane->finished());
      progress.expected_frames += expected;
      ++(lane->finished()  ? progress.streams_done
         : lane->started() ? progress.streams_running
                           : progress.streams_waiting);
    }
    if (!length_known) progress.expected_frames = 0;
    if (gpu_watch_) progress.gpu = gpu_watch_->use();
    if (progress.frames > 0) {
      const double per_frame_ms = 1e3 / static_cast<double>(progress.frames);
      progress.decode_ms = decode_seconds * per_frame_ms;
      progress.preprocess_ms = static_cast<double>(preprocess_nanoseconds_) * 1e-9 * per_frame_ms;
      progress.infer_ms = static_cast<double>(infer_nanoseconds_) * 1e-9 * per_frame_ms;
      progress.postprocess_ms = static_cast<double>(postprocess_nanoseconds_) * 1e-9 * per_frame_ms;
    }
    return progress;
  }

 private:
  struct Ticket {
    StreamLane* lane;
    StreamLane::Slot* slot;
  };

  // --- lanes ---

  // Live streams all at once; files as many as may be open side by side.
  void start_lanes() {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    auto open_files = std::count_if(active_.begin(), active_.end(),
                                    [](const auto* lane) { return !lane->live(); });
    for (const auto& lane : lanes_) {
      if (lane->started() || (!lane->live() && open_files >= options_.max_open_files)) continue;
      open_files += lane->live() ? 0 : 1;
      // Under the lock: `stop` must find a lane either not started or able to be interrupted.
      lane->start(make_embedder_ ? make_embedder_() : nullptr);
      active_.push_back(lane.get());
    }
  }

  // Every stream has run for a while: engines, decoders and pools have what they need.
  bool is_steady() const {
    const std::lock_guard lock(mutex_);
    return std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) {
      return lane->finished() || lane->frames() >= kWarmUpFrames;
    });
  }

  bool all_done_locked() const {
    return active_.empty() &&
           (stopped_ || std::all_of(lanes_.begin(), lanes_.end(),
                                    [](const auto& lane) { return lane->started(); }));
  }

  void wait_for_lanes() {
    std::unique_lock lock(mutex_);
    while (!all_done_locked()) {
      const std::int64_t seen = lanes_done_;
      lanes_changed_.wait(lock, [&] { return lanes_done_ != seen || all_done_locked(); });
      lock.unlock();
      start_lanes();
      lock.lock();
    }
  }

  void lane_done(StreamLane* lane) {
    {
      const std::lock_guard lock(mutex_);
      std::erase(active_, lane);
      ++lanes_done_;
    }
    lanes_changed_.notify_all();
  }

  void abort_lanes() noexcept {
    for (const auto& lane : lanes_) lane->abort();
  }

  void fail(const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      if (!fatal_) fatal_ = error;
    }
    stop();
    abort_lanes();
  }

  // --- workers ---

  void start_workers() {
    for (int i = 0; i < options_.workers; ++i) {
      worker_stages_.push_back(std::make_unique<StageTimes>());
      workers_.emplace_back([this, stages = worker_stages_.back().get()] { work(*stages); });
    }
  }

  void join_workers() {
    {
      const std::lock_guard lock(ready_mutex_);
      no_more_work_ = true;
    }
    ready_.notify_all();
    for (std::thread& worker : workers_) {
      if (worker.joinable()) worker.join();
    }
  }

  // The one that gathers a batch: a frame has come, or the device has become idle.
  void wake_gatherer() noexcept {
    {
      const std::lock_guard lock(ready_mutex_);
      ++ready_generation_;
    }
    ready_.notify_one();
  }

  void work(StageTimes& stages) {
    name_thread("infer");
    try {
      const auto predictor = make_predictor_();
      std::vector<Ticket> tickets;
      std::vector<Frame> frames;
      std::vector<FrameResult> results;
      while (take(tickets)) predict(*predictor, tickets, frames, results, stages);
    } catch (const Error& error) {
      fail(error);
    } catch (const std::exception& error) {
      fail(Error(ErrorCode::kInternal, error.what()));
    }
  }

  void predict(vision::Predictor& predictor, const std::vector<Ticket>& tickets,
               std::vector<Frame>& frames, std::vector<FrameResult>& results, StageTimes& stages) {
    results.resize(tickets.size());
    for (const Ticket& ticket : tickets) frames.push_back(ticket.lane->picture(*ticket.slot));
    predictor.submit(frames);
    frames.clear();
    const vision::PredictTimes times = predictor.collect(results);
    --busy_workers_;  // the device is free, before the answers are handed out
    wake_gatherer();
    preprocess_nanoseconds_ += times.preprocess;
    infer_nanoseconds_ += times.infer;
    postprocess_nanoseconds_ += times.decode;
    const auto count = static_cast<std::int64_t>(tickets.size());
    for (std::size_t i = 0; i < tickets.size(); ++i) {
      stages.preprocess.add(times.preprocess / count);
      stages.infer.add(times.infer / count);
      stages.postprocess.add(times.decode / count);
      tickets[i].slot->result = std::move(results[i]);
      tickets[i].lane->complete(tickets[i].slot);
    }
  }

  // Up to a batch of frames, round robin over the streams; blocks until there is one. False: no
  // more work. One worker gathers at a time: of two that waited for the device, one would find it
  // taken by the other, and keep its frames waiting again.
  bool take(std::vector<Ticket>& tickets) {
    const std::lock_guard gatherer(gather_mutex_);
    tickets.clear();
    while (true) {
      std::uint64_t generation = 0;
      {
        const std::lock_guard lock(ready_mutex_);
        if (no_more_work_) return false;
        generation = ready_generation_;
      }
      if (collect_tickets(tickets)) {
        fill_up(tickets);
        ++busy_workers_;
        return true;
      }
      std::unique_lock lock(ready_mutex_);
      ready_.wait(lock, [&] { return no_more_work_ || ready_generation_ != generation; });
    }
  }

  // A part of a batch waits for company while the device is busy anyway: no longer than the oldest
  // frame may be kept, and not at all for an idle device.
  void fill_up(std::vector<Ticket>& tickets) {
    if (options_.max_delay.count() == 0) return;
    const auto deadline = std::chrono::steady_clock::now() + options_.max_delay;
    while (std::ssize(tickets) < options_.batch) {
      {
        std::unique_lock lock(ready_mutex_);
        if (busy_workers_ == 0) return;
        const std::uint64_t generation = ready_generation_;
        const bool changed = ready_.wait_until(
            lock, deadline, [&] { return no_more_work_ || ready_generation_ != generation; });
        if (!changed || no_more_work_) return;
      }
      collect_tickets(tickets);
    }
  }

  bool collect_tickets(std::vector<Ticket>& tickets) {
    const std::lock_guard lock(mutex_);
    if (fatal_) return false;
    const std::size_t count = active_.size();
    std::size_t idle = 0;
    while (idle < count && tickets.size() < static_cast<std::size_t>(options_.batch)) {
      StreamLane* lane = active_[next_lane_++ % count];
      StreamLane::Slot* slot = lane->take();
      idle = slot ? 0 : idle + 1;
      if (slot) tickets.push_back({lane, slot});
    }
    return !tickets.empty();
  }

  // --- the end ---

  RunSummary summarize(double seconds) {
    RunSummary summary;
    summary.seconds = seconds;
    const std::lock_guard lock(mutex_);
    summary.fatal = fatal_;
    summary.interrupted = stopped_ && !fatal_;
    for (const auto& lane : lanes_) {
      summary.streams.push_back(lane->summary());
      summary.frames += lane->summary().frames;
      const StageTimes& stages = lane->stages();
      summary.stages.decode.merge(stages.decode);
      summary.stages.track.merge(stages.track);
      summary.stages.embed.merge(stages.embed);
      summary.stages.write.merge(stages.write);
      summary.stages.latency.merge(stages.latency);
    }
    for (const auto& stages : worker_stages_) {
      summary.stages.preprocess.merge(stages->preprocess);
      summary.stages.infer.merge(stages->infer);
      summary.stages.postprocess.merge(stages->postprocess);
    }
    return summary;
  }

  // After a failure in one sink the others are still completed.
  void finish_sinks(RunSummary& summary) {
    for (const auto& sink : sinks_) {
      try {
        sink->finish();
        for (std::string& path : sink->paths()) summary.outputs.push_back(std::move(path));
      } catch (const Error& error) {
        if (!summary.fatal) summary.fatal = error;
      }
    }
  }

  const PipelineOptions options_;
  const std::function<std::unique_ptr<vision::Predictor>()> make_predictor_;
  const std::function<std::unique_ptr<vision::Embedder>()> make_embedder_;
  const std::vector<std::unique_ptr<output::Sink>> sinks_;
  std::vector<std::unique_ptr<StreamLane>> lanes_;
  Stopwatch clock_;

  mutable std::mutex mutex_;  // lanes: which are active, done, or failed
  std::condition_variable lanes_changed_;
  std::vector<StreamLane*> active_;
  std::size_t next_lane_ = 0;
  std::int64_t lanes_done_ = 0;
  bool stopped_ = false;
  std::optional<Error> fatal_;

  std::mutex gather_mutex_;  // of the worker that gathers a batch; the others wait for it
  std::mutex ready_mutex_;   // whether there may be a frame to take; never held with mutex_
  std::condition_variable ready_;
  std::uint64_t ready_generation_ = 0;
  bool no_more_work_ = false;

  std::vector<std::unique_ptr<StageTimes>> worker_stages_;
  std::vector<std::thread> workers_;
  std::optional<GpuWatch> gpu_watch_;
  std::atomic<int> busy_workers_{0};  // with a batch on the device, or about to
  std::atomic<std::int64_t> preprocess_nanoseconds_{0}, infer_nanoseconds_{0},
      postprocess_nanoseconds_{0};
};

Pipeline::Pipeline(PipelineOptions options, std::vector<StreamSpec> streams,
                   std::function<std::unique_ptr<vision::Predictor>()> make_predictor,
                   std::function<std::unique_ptr<vision::Embedder>()> make_embedder,
                   std::vector<std::unique_ptr<output::Sink>> sinks)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(streams),
                                   std::move(make_predictor), std::move(make_embedder),
                                   std::move(sinks))) {}
Pipeline::~Pipeline() = default;
RunSummary Pipeline::run() { return impl_->run(); }
void Pipeline::stop() noexcept { impl_->stop(); }
Progress Pipeline::progress() const { return impl_->progress(); }

}  // namespace peregrine::pipeline
