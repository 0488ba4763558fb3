// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <fmt/format.h>

#include "peregrine/error.h"
#include "vision/decoders.h"

namespace peregrine::vision {

void check_depth_input(const TaskSpec& spec) {
  if (spec.input.fit == InputSpec::Fit::kStretch) return;
  throw Error(ErrorCode::kInvalidArgument,
              "a depth map covers the picture only where the picture is stretched to the model's "
              "input; set InputSpec::fit to kStretch");
}

void check_depth_shape(const TaskSpec& spec, const Shape& shape) {
  const bool channel = shape.size() == 4;
  if ((!channel || shape[1] == 1) && shape[shape.size() - 2] > 0 && shape.back() > 0) return;
  throw Error(ErrorCode::kInvalidShape,
              fmt::format("output {} is {}; a depth map is [batch, height, width] or [batch, "
                          "1, height, width]",
                          spec.boxes_output, to_string(shape)));
}

namespace {

class DepthDecoder final : public OutputDecoder {
 public:
  explicit DepthDecoder(const TaskSpec& spec) : spec_(spec) { check_depth_input(spec); }

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
    const auto index = static_cast<std::size_t>(spec_.boxes_output);
    const bool channel = index < outputs.size() && outputs[index].shape.size() == 4;
    const TensorView& output = output_at(outputs, spec_.boxes_output, channel ? 4 : 3, item);
    check_depth_shape(spec_, output.shape);
    return output;
  }

  const TaskSpec spec_;
};

}  // namespace

std::unique_ptr<OutputDecoder> make_depth_decoder(const TaskSpec& spec) {
  return std::make_unique<DepthDecoder>(spec);
}

}  // namespace peregrine::vision
