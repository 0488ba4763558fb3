// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <string_view>

#include "video/source.h"
#include "video/synth/synth.h"

namespace peregrine::synth {
namespace {

constexpr std::string_view kScheme = "synth:";

SynthOptions options_of(std::string_view name) {
  if (name.substr(0, kScheme.size()) == kScheme) name.remove_prefix(kScheme.size());
  return parse_synth_options(std::string(name));
}

class SynthSource final : public video::Source {
 public:
  SynthSource(const std::string& name, const video::SourceOptions& options)
      : world_(options_of(name)), every_(std::max<std::int64_t>(1, options.every)) {
    const SynthOptions& o = world_.options();
    const double rate = o.frame_rate.value();
    next_ = static_cast<std::int64_t>(std::ceil(options.start_seconds * rate));
    end_ = o.frame_count();
    if (options.end_seconds > 0) {
      end_ = std::min(end_, static_cast<std::int64_t>(std::ceil(options.end_seconds * rate)));
    }
    left_ = options.max_frames > 0 ? options.max_frames : end_;
    info_.name = name;
    info_.width = o.width;
    info_.height = o.height;
    info_.time_base = {o.frame_rate.den, o.frame_rate.num};
    info_.frame_rate = o.frame_rate;
    info_.frame_count = o.frame_count();
    info_.duration_seconds = static_cast<double>(o.frame_count()) / rate;
    info_.codec = "synth";
  }

  const video::SourceInfo& info() const override { return info_; }
  video::SourceEvent read() override {
    if (stopped_ || next_ >= end_ || left_ == 0) return video::EndOfStream{};
    Frame frame = world_.render(next_, PixelFormat::kYuv420p);
    next_ += every_;
    --left_;
    return frame;
  }
  void interrupt() noexcept override { stopped_ = true; }

 private:
  SynthWorld world_;
  video::SourceInfo info_;
  std::int64_t every_, next_ = 0, end_ = 0, left_ = 0;
  std::atomic<bool> stopped_ = false;
};

}  // namespace

std::unique_ptr<video::Source> make_synth_source(const std::string& name,
                                                 const video::SourceOptions& options) {
  return std::make_unique<SynthSource>(name, options);
}

}  // namespace peregrine::synth
