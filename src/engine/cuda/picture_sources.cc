// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/picture_sources.h"

#include <algorithm>
#include <bit>

#include "compiler/rewrite.h"
#include "model/geometry.h"
#include "model/resize_taps.h"

namespace peregrine::cuda {
namespace {

using model::Node;
using model::Op;
using model::Value;

constexpr std::int64_t kMostEnlarged = 8;

// How often each position of an axis is repeated in order; 0 when it is not so.
std::int64_t repetition(const Node& resize, const model::ResizeGeometry& geometry,
                        std::size_t axis) {
  const std::int64_t input = resize.input(0)->shape[axis], output = geometry.output[axis];
  if (input == 0 || output % input != 0) return 0;
  const std::int64_t times = output / input;
  const auto positions = model::resize_positions(resize, geometry, axis, input);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (positions[i].outside ||
        positions[i].taps.front().index != static_cast<std::int64_t>(i) / times) {
      return 0;
    }
  }
  return times;
}

bool is_known(const Value* value) { return !value || value->is_constant(); }

// A value of its own, or what a nearest upsampling by a power of two enlarges.
PictureSource source_of(const Value* value) {
  const PictureSource itself{value, 0};
  const Node* resize = compiler::producer(value, Op::kResize);
  if (!resize || !value->only_reader() || value->rank() != 4 ||
      resize->attributes.get_string("mode", "nearest") != "nearest" ||
      resize->attributes.get_string("coordinate_transformation_mode", "half_pixel") ==
          "tf_crop_and_resize" ||
      !is_known(resize->input(2)) || !is_known(resize->input(3))) {
    return itself;
  }
  const auto floats =
      resize->has_input(2) ? compiler::floats_of(resize->input(2)) : model::Floats();
  const auto ints = resize->has_input(3) ? compiler::ints_of(resize->input(3)) : model::Ints();
  const model::ResizeGeometry geometry =
      model::resize_geometry(*resize, resize->input(0)->shape, {}, floats, ints);
  if (geometry.output[0] != resize->input(0)->shape[0] ||
      geometry.output[1] != resize->input(0)->shape[1]) {
    return itself;
  }
  const std::int64_t times = repetition(*resize, geometry, 2);
  if (times < 2 || times > kMostEnlarged || !std::has_single_bit(static_cast<unsigned>(times)) ||
      repetition(*resize, geometry, 3) != times) {
    return itself;
  }
  return {resize->input(0), std::countr_zero(static_cast<unsigned>(times))};
}

}  // namespace

PictureSources picture_sources(const Node& conv) {
  const Value* x = conv.input(0);
  PictureSources sources;
  if (x->rank() != 4 || conv.attributes.get_int("group", 1) != 1) return {};
  std::vector<const Value*> parts{x};
  const Node* concat = compiler::producer(x, Op::kConcat);
  if (concat && x->only_reader() && concat->inputs().size() == 2 &&
      model::wrap_axis(concat->attributes.get_int("axis", 0), 4) == 1) {
    parts = {concat->input(0), concat->input(1)};
    sources.replaced.push_back(concat);
  }
  bool enlarges = false;
  for (const Value* part : parts) {
    if (part->shape[1] % 8 != 0) return {};
    sources.pictures.push_back(source_of(part));
    if (sources.pictures.back().upsample_shift == 0) continue;
    enlarges = true;
    sources.replaced.push_back(part->producer());
  }
  return enlarges ? sources : PictureSources{};
}

}  // namespace peregrine::cuda
