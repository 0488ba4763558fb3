// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "model/geometry.h"
#include "model/reference/kernel.h"

namespace peregrine::model::reference {
namespace {

bool advance(Ints& position, const Ints& extent) {
  for (std::size_t axis = extent.size(); axis-- > 0;) {
    if (++position[axis] < extent[axis]) return true;
    position[axis] = 0;
  }
  return false;
}

struct Taps {
  std::vector<std::int64_t> offsets;  // of the taps inside the picture
  std::int64_t padded = 0;            // how many more lie in the stated padding
};

// Which positions of a plane the window at `position` covers.
void read_taps(const Window& w, const Ints& position, Taps& taps) {
  taps.offsets.clear();
  taps.padded = 0;
  Ints tap(w.kernel.size(), 0);
  do {
    std::int64_t offset = 0;
    bool inside = true;
    bool in_padding = true;
    for (std::size_t axis = 0; axis < tap.size(); ++axis) {
      const std::int64_t at =
          position[axis] * w.stride[axis] - w.pad_begin[axis] + tap[axis] * w.dilation[axis];
      inside = inside && at >= 0 && at < w.input[axis];
      in_padding = in_padding && at < w.input[axis] + w.pad_end[axis];
      offset = offset * w.input[axis] + at;
    }
    if (inside)
      taps.offsets.push_back(offset);
    else if (in_padding)
      ++taps.padded;
  } while (advance(tap, w.kernel));
}

// Calls f(plane of x, taps, output index) for every output.
template <typename T, typename F>
void for_each_window(const KernelContext& c, const Window& w, F&& f) {
  const std::int64_t planes = c.shape(0)[0] * c.shape(0)[1];
  const std::int64_t input = element_count(w.input);
  const std::int64_t output = element_count(w.output);
  if (output == 0) return;
  Taps taps;
  Ints position(w.output.size(), 0);
  std::int64_t o = 0;
  do {
    read_taps(w, position, taps);
    for (std::int64_t plane = 0; plane < planes; ++plane) {
      f(c.data<T>(0) + plane * input, taps, plane, plane * output + o);
    }
    ++o;
  } while (advance(position, w.output));
}

AxisView planes_of(const KernelContext& c) {
  const Shape& x = c.shape(0);
  AxisView view{x[0] * x[1], 1, 1};
  for (std::size_t i = 2; i < x.size(); ++i) view.extent *= x[i];
  return view;
}

}  // namespace

namespace kernels {

void max_pool(const KernelContext& c) {
  const Window w = pool_window(c.node, c.shape(0));
  const bool column_major = c.attributes().get_int("storage_order", 0) != 0;
  const std::int64_t input = element_count(w.input);
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for_each_window<T>(c, w, [&](const T* x, const Taps& taps, std::int64_t plane, std::int64_t o) {
      T best = std::is_floating_point_v<T> ? -std::numeric_limits<T>::infinity()
                                           : std::numeric_limits<T>::lowest();
      std::int64_t where = 0;
      for (const std::int64_t tap : taps.offsets) {
        if (x[tap] > best || tap == taps.offsets.front()) best = x[tap], where = tap;
      }
      c.result<T>()[o] = best;
      if (!c.wants(1)) return;
      if (column_major && w.rank() == 2)
        where = where % w.input[1] * w.input[0] + where / w.input[1];
      c.result<std::int64_t>(1)[o] = plane * input + where;
    });
  });
}

void average_pool(const KernelContext& c) {
  const Window w = pool_window(c.node, c.shape(0));
  const bool count_padding = c.attributes().get_int("count_include_pad", 0) != 0;
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for_each_window<T>(c, w, [&](const T* x, const Taps& taps, std::int64_t, std::int64_t o) {
      double sum = 0;
      for (const std::int64_t tap : taps.offsets) sum += static_cast<double>(x[tap]);
      const auto count = static_cast<double>(taps.offsets.size()) +
                         (count_padding ? static_cast<double>(taps.padded) : 0.0);
      c.result<T>()[o] = static_cast<T>(count > 0 ? sum / count : 0.0);
    });
  });
}

void lp_pool(const KernelContext& c) {
  const Window w = pool_window(c.node, c.shape(0));
  const auto p = static_cast<double>(c.attributes().get_int("p", 2));
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for_each_window<T>(c, w, [&](const T* x, const Taps& taps, std::int64_t, std::int64_t o) {
      double sum = 0;
      for (const std::int64_t tap : taps.offsets)
        sum += std::pow(std::abs(static_cast<double>(x[tap])), p);
      c.result<T>()[o] = static_cast<T>(std::pow(sum, 1 / p));
    });
  });
}

void global_average_pool(const KernelContext& c) {
  const AxisView x = planes_of(c);
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for (std::int64_t i = 0; i < x.outer; ++i) {
      double sum = 0;
      for (std::int64_t k = 0; k < x.extent; ++k)
        sum += static_cast<double>(c.data<T>(0)[i * x.extent + k]);
      c.result<T>()[i] = static_cast<T>(sum / static_cast<double>(x.extent));
    }
  });
}

void global_max_pool(const KernelContext& c) {
  const AxisView x = planes_of(c);
  if (x.extent == 0) c.fail("pools over nothing");
  with_math_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for (std::int64_t i = 0; i < x.outer; ++i) {
      const T* plane = c.data<T>(0) + i * x.extent;
      c.result<T>()[i] = *std::max_element(plane, plane + x.extent);
    }
  });
}

void global_lp_pool(const KernelContext& c) {
  const AxisView x = planes_of(c);
  const auto p = static_cast<double>(c.attributes().get_int("p", 2));
  with_float_type(c, c.in(0).dtype(), [&]<typename T>(T) {
    for (std::int64_t i = 0; i < x.outer; ++i) {
      double sum = 0;
      for (std::int64_t k = 0; k < x.extent; ++k) {
        sum += std::pow(std::abs(static_cast<double>(c.data<T>(0)[i * x.extent + k])), p);
      }
      c.result<T>()[i] = static_cast<T>(std::pow(sum, 1 / p));
    }
  });
}

}  // namespace kernels
}  // namespace peregrine::model::reference
