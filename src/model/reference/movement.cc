// SPDX-License-Identifier: Apache-2.0
// Ops that only move elements: they copy bytes and never look at them.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "model/geometry.h"
#include "model/reference/bytes.h"
#include "model/reference/kernel.h"
#include "model/shape_rules.h"

namespace peregrine::model::reference {
namespace {

std::int64_t axis_of(const KernelContext& c, std::int64_t otherwise) {
  return c.attributes().get_int("axis", otherwise);
}

Ints optional_ints(const KernelContext& c, std::size_t index) {
  return c.has(index) ? to_ints(c.in(index)) : Ints();
}

// y[position] = x[source[axis][position]] with `fill` where any source is -1.
void gather_axes(const KernelContext& c, const std::vector<Ints>& sources, const void* fill) {
  const Bytes x(c.in(0));
  MutableBytes y(c.out());
  const Shape& shape = c.out().shape();
  const Ints strides = packed_strides(c.shape(0));
  Ints position(shape.size(), 0);
  for (std::int64_t i = 0; i < c.out().size(); ++i) {
    std::int64_t from = 0;
    for (std::size_t axis = 0; axis < shape.size() && from >= 0; ++axis) {
      const std::int64_t source = sources[axis][static_cast<std::size_t>(position[axis])];
      from = source < 0 ? -1 : from + source * strides[axis];
    }
    if (from < 0)
      y.put(i, fill);
    else
      y.put(i, x.at(from));
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++position[axis] < shape[axis]) break;
      position[axis] = 0;
    }
  }
}

}  // namespace

namespace kernels {

void copy(const KernelContext& c) {
  if (c.in(0).bytes() > 0) std::memcpy(c.out().data(), c.in(0).data(), c.in(0).bytes());
}

void transpose(const KernelContext& c) {
  Ints order = c.attributes().get_ints("perm");
  const Shape& x = c.shape(0);
  if (order.empty()) {
    order.resize(x.size());
    std::iota(order.rbegin(), order.rend(), 0);
  }
  const Ints packed = packed_strides(x);
  Ints strides;
  for (const std::int64_t axis : order) strides.push_back(packed[static_cast<std::size_t>(axis)]);
  const Bytes from(c.in(0));
  MutableBytes to(c.out());
  Walker walker(c.out().shape(), {strides});
  for (std::int64_t i = 0; i < c.out().size(); ++i, walker.next())
    to.put(i, from.at(walker.offset(0)));
}

void concat(const KernelContext& c) {
  const AxisView whole = axis_view(c.out().shape(), axis_of(c, 0));
  const auto item = static_cast<std::int64_t>(size_of(c.out().dtype()));
  const std::int64_t row = whole.extent * whole.inner * item;
  std::int64_t at = 0;
  for (const Tensor* part : c.inputs) {
    const AxisView view = axis_view(part->shape(), axis_of(c, 0));
    const std::int64_t length = view.extent * view.inner * item;
    for (std::int64_t i = 0; i < view.outer && length > 0; ++i) {
      std::memcpy(static_cast<char*>(c.out().data()) + i * row + at,
                  static_cast<const char*>(part->data()) + i * length,
                  static_cast<std::size_t>(length));
    }
    at += length;
  }
}

void split(const KernelContext& c) {
  const AxisView whole = axis_view(c.shape(0), axis_of(c, 0));
  const auto item = static_cast<std::int64_t>(size_of(c.in(0).dtype()));
  const std::int64_t row = whole.extent * whole.inner * item;
  std::int64_t at = 0;
  for (Tensor& part : c.outputs) {
    const AxisView view = axis_view(part.shape(), axis_of(c, 0));
    const std::int64_t length = view.extent * view.inner * item;
    for (std::int64_t i = 0; i < view.outer && length > 0; ++i) {
      std::memcpy(static_cast<char*>(part.data()) + i * length,
                  static_cast<const char*>(c.in(0).data()) + i * row + at,
                  static_cast<std::size_t>(length));
    }
    at += length;
  }
}

void slice(const KernelContext& c) {
  const auto ranges = slice_ranges(c.shape(0), optional_ints(c, 1), optional_ints(c, 2),
                                   optional_ints(c, 3), optional_ints(c, 4));
  std::vector<Ints> sources;
  for (const SliceRange& range : ranges) {
    Ints& axis = sources.emplace_back();
    for (std::int64_t i = 0; i < range.count; ++i) axis.push_back(range.start + i * range.step);
  }
  gather_axes(c, sources, nullptr);
}

void expand(const KernelContext& c) {
  const Bytes from(c.in(0));
  MutableBytes to(c.out());
  Walker walker(c.out().shape(), {broadcast_strides(c.shape(0), c.out().shape())});
  for (std::int64_t i = 0; i < c.out().size(); ++i, walker.next())
    to.put(i, from.at(walker.offset(0)));
}

void tile(const KernelContext& c) {
  std::vector<Ints> sources;
  for (std::size_t axis = 0; axis < c.shape(0).size(); ++axis) {
    Ints& source = sources.emplace_back();
    const std::int64_t period = c.shape(0)[axis];
    for (std::int64_t i = 0; i < c.out().shape()[axis]; ++i) source.push_back(i % period);
  }
  gather_axes(c, sources, nullptr);
}

void pad(const KernelContext& c) {
  const std::string mode = c.attributes().get_string("mode", "constant");
  const Ints pads = to_ints(c.in(1));
  Ints axes = optional_ints(c, 3);
  const auto rank = static_cast<std::int64_t>(c.shape(0).size());
  if (!c.has(3)) {
    axes.resize(static_cast<std::size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  Ints before(static_cast<std::size_t>(rank), 0);
  for (std::size_t k = 0; k < axes.size(); ++k) {
    before[static_cast<std::size_t>(wrap_axis(axes[k], rank))] = pads[k];
  }
  std::vector<Ints> sources;
  for (std::size_t axis = 0; axis < before.size(); ++axis) {
    Ints& source = sources.emplace_back();
    for (std::int64_t i = 0; i < c.out().shape()[axis]; ++i) {
      source.push_back(padded_source(mode, i - before[axis], c.shape(0)[axis]));
    }
  }
  const std::uint64_t zero = 0;
  gather_axes(c, sources, c.has(2) && c.in(2).size() > 0 ? c.in(2).data() : &zero);
}

void center_crop_pad(const KernelContext& c) {
  std::vector<Ints> sources;
  for (std::size_t axis = 0; axis < c.shape(0).size(); ++axis) {
    const std::int64_t input = c.shape(0)[axis];
    const std::int64_t output = c.out().shape()[axis];
    // Odd differences: cropping and padding both put the larger half at the end.
    const std::int64_t shift = output > input ? -((output - input) / 2) : (input - output) / 2;
    Ints& source = sources.emplace_back();
    for (std::int64_t i = 0; i < output; ++i) {
      const std::int64_t from = i + shift;
      source.push_back(from >= 0 && from < input ? from : -1);
    }
  }
  const std::uint64_t zero = 0;
  gather_axes(c, sources, &zero);
}

namespace {

// Calls `source(n, channel, row, column)` for each element of the output, in order, for the
// position in the input that it comes from.
template <typename Source>
void rearrange_pictures(const KernelContext& c, Source&& source) {
  const Shape& y = c.out().shape();
  const Bytes from(c.in(0));
  MutableBytes to(c.out());
  std::int64_t i = 0;
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t ch = 0; ch < y[1]; ++ch)
      for (std::int64_t h = 0; h < y[2]; ++h)
        for (std::int64_t w = 0; w < y[3]; ++w) to.put(i++, from.at(source(n, ch, h, w)));
}

}  // namespace

void depth_to_space(const KernelContext& c) {
  const std::int64_t block = c.attributes().get_int("blocksize", 1);
  const bool depth_first = c.attributes().get_string("mode", "DCR") == "DCR";
  const Shape& x = c.shape(0);
  const std::int64_t channels = c.out().shape()[1];
  rearrange_pictures(c, [&](auto n, auto ch, auto h, auto w) {
    const std::int64_t cell = (h % block) * block + w % block;
    const std::int64_t source = depth_first ? cell * channels + ch : ch * block * block + cell;
    return ((n * x[1] + source) * x[2] + h / block) * x[3] + w / block;
  });
}

void space_to_depth(const KernelContext& c) {
  const std::int64_t block = c.attributes().get_int("blocksize", 1);
  const Shape& x = c.shape(0);
  rearrange_pictures(c, [&](auto n, auto ch, auto h, auto w) {
    const std::int64_t cell = ch / x[1];
    const std::int64_t row = h * block + cell / block;
    const std::int64_t column = w * block + cell % block;
    return ((n * x[1] + ch % x[1]) * x[2] + row) * x[3] + column;
  });
}

void reverse_sequence(const KernelContext& c) {
  const std::int64_t time = c.attributes().get_int("time_axis", 0);
  const std::int64_t batch = c.attributes().get_int("batch_axis", 1);
  const Ints lengths = to_ints(c.in(1));
  if (c.shape(0).size() < 2 || time + batch != 1 || (time != 0 && time != 1) ||
      lengths.size() != static_cast<std::size_t>(c.shape(0)[static_cast<std::size_t>(batch)])) {
    c.fail("wants time and batch as its first two axes, and a length a sequence");
  }
  const Shape& x = c.shape(0);
  const AxisView inner = axis_view(x, 1);
  const Bytes from(c.in(0));
  MutableBytes to(c.out());
  for (std::int64_t a = 0; a < x[0]; ++a)
    for (std::int64_t b = 0; b < x[1]; ++b)
      for (std::int64_t k = 0; k < inner.inner; ++k) {
        const std::int64_t step = time == 0 ? a : b;
        const std::int64_t length = lengths[static_cast<std::size_t>(time == 0 ? b : a)];
        const std::int64_t other = step < length ? length - 1 - step : step;
        const std::int64_t source = time == 0 ? other * x[1] + b : a * x[1] + other;
        to.put((a * x[1] + b) * inner.inner + k, from.at(source * inner.inner + k));
      }
}

void trilu(const KernelContext& c) {
  const Shape& x = c.shape(0);
  if (x.size() < 2) c.fail("wants matrices");
  const bool upper = c.attributes().get_int("upper", 1) != 0;
  const std::int64_t diagonal = c.has(1) ? to_ints(c.in(1)).at(0) : 0;
  const std::int64_t rows = x[x.size() - 2];
  const std::int64_t columns = x.back();
  const std::uint64_t zero = 0;
  const Bytes from(c.in(0));
  MutableBytes to(c.out());
  for (std::int64_t i = 0; i < c.in(0).size(); ++i) {
    const std::int64_t distance = i % columns - i / columns % rows;
    const bool kept = upper ? distance >= diagonal : distance <= diagonal;
    to.put(i, kept ? from.at(i) : &zero);
  }
}

void where(const KernelContext& c) {
  const Shape& shape = c.out().shape();
  const bool* condition = c.data<bool>(0);
  const Bytes a(c.in(1));
  const Bytes b(c.in(2));
  MutableBytes to(c.out());
  Walker walker(shape, {broadcast_strides(c.shape(0), shape), broadcast_strides(c.shape(1), shape),
                        broadcast_strides(c.shape(2), shape)});
  for (std::int64_t i = 0; i < c.out().size(); ++i, walker.next()) {
    to.put(i, condition[walker.offset(0)] ? a.at(walker.offset(1)) : b.at(walker.offset(2)));
  }
}

}  // namespace kernels
}  // namespace peregrine::model::reference
