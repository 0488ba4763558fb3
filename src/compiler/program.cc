// SPDX-License-Identifier: Apache-2.0
#include "compiler/program.h"

#include "peregrine/error.h"

namespace peregrine::compiler {

ByteRange touched_bytes(const Operand& operand) {
  const auto size = static_cast<std::int64_t>(size_of(operand.dtype));
  ByteRange range{operand.offset, operand.offset};
  if (operand.is_absent() || element_count(operand.shape) == 0) return range;
  bool overflow = false;
  for (std::size_t i = 0; i < operand.shape.size(); ++i) {
    std::int64_t reach = 0;
    overflow |= __builtin_mul_overflow(operand.strides[i], operand.shape[i] - 1, &reach);
    overflow |= __builtin_mul_overflow(reach, size, &reach);
    std::int64_t& end = reach < 0 ? range.first : range.last;
    overflow |= __builtin_add_overflow(end, reach, &end);
  }
  overflow |= __builtin_add_overflow(range.last, size, &range.last);
  if (overflow) throw Error(ErrorCode::kInvalidShape, "an operand reaches past 2^63 bytes");
  return range;
}

}  // namespace peregrine::compiler
