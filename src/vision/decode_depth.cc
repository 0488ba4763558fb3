// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/decoders.h"

namespace peregrine::vision {
namespace {

class DepthDecoder final : public OutputDecoder {
 public:
  explicit DepthDecoder(const TaskSpec& spec) : output_(spec.boxes_output) {
    if (spec.input.fit != InputSpec::Fit::kStretch) {
      throw Error(ErrorCode::kInvalidArgument,
                  "a depth map covers the picture only where the picture is stretched to the "
                  "model's input; set InputSpec::fit to kStretch");
    }
  }

  void decode(std::span<const TensorView> outputs, int item, const Letterbox&,
              FrameResult& result) override {
    const TensorView& output = open(outputs, item);
    DepthMap& map = result.depth;
    map = {};
    map.height = static_cast<int>(output.shape[output.shape.size() - 2]);
    map.width = static_cast<int>(output.shape.back());
    const std::int64_t cells = std::int64_t{map.width} * map.height;
    const float* first = output.as<float>() + item * cells;
    map.values.assign(first, first + cells);
    bool any = false;
    for (const float value : map.values) {
      if (!std::isfinite(value)) continue;
      map.min = any ? std::min(map.min, value) : value;
      map.max = any ? std::max(map.max, value) : value;
      any = true;
    }
  }

 private:
  const TensorView& open(std::span<const TensorView> outputs, int item) const {
    const auto index = static_cast<std::size_t>(output_);
    const bool channel = index < outputs.size() && outputs[index].shape.size() == 4;
    const TensorView& output = output_at(outputs, output_, channel ? 4 : 3, item);
    if ((channel && output.shape[1] != 1) || output.size() == 0) {
      throw Error(ErrorCode::kInvalidShape,
                  fmt::format("output {} is {}; a depth map is [batch, height, width] or [batch, "
                              "1, height, width]",
                              output_, to_string(output.shape)));
    }
    return output;
  }

  const int output_;
};

}  // namespace

std::unique_ptr<OutputDecoder> make_depth_decoder(const TaskSpec& spec) {
  return std::make_unique<DepthDecoder>(spec);
}

}  // namespace peregrine::vision
