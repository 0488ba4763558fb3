// SPDX-License-Identifier: Apache-2.0
#include "model/attention.h"
#include "model/shape_rules.h"

namespace peregrine::model::rules {

void attention(RuleContext& c) {
  if (c.has(6)) c.unsupported("has a length a sequence (nonpad_kv_seqlen), which is not supported");
  const AttentionGeometry g =
      attention_geometry(c.node(), c.shape(0), c.shape(1), c.shape(2), c.has(4) ? c.shape(4)[2] : 0,
                         c.has(3) ? c.shape(3) : Shape());
  c.set(0, c.dtype(0), attention_output(g));
  c.set(1, c.dtype(1), {g.batch, g.kv_heads, g.keys, g.depth});
  c.set(2, c.dtype(2), {g.batch, g.kv_heads, g.keys, g.value_depth});
  c.set(3, c.dtype(0), {g.batch, g.heads, g.queries, g.keys});
}

}  // namespace peregrine::model::rules
