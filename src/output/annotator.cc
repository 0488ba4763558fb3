// SPDX-License-Identifier: Apache-2.0
#include "output/annotator.h"

#include "output/overlay.h"

namespace peregrine::output {
namespace {

class CpuAnnotator final : public Annotator {
 public:
  explicit CpuAnnotator(const std::vector<std::string>& labels) : overlay_(labels) {}
  Frame draw(const Frame& frame, const FrameResult& result) override {
    return overlay_.render(frame, result);
  }
  Frame to_host(const Frame& frame) override { return frame; }

 private:
  OverlayRenderer overlay_;
};

}  // namespace

std::unique_ptr<Annotator> make_cpu_annotator(const std::vector<std::string>& labels) {
  return std::make_unique<CpuAnnotator>(labels);
}

}  // namespace peregrine::output
