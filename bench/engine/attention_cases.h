// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace peregrine::bench {

/// One attention of a network. `windows`: independent parts of an image, each with its own tokens.
struct AttentionCase {
  const char* name;
  int windows, heads, queries, keys, query_width, value_width;
};

// Read by attention_peer.py too: one row a line.
constexpr AttentionCase kAttentionCases[] = {
    {"depth-anything-v2-s", 1, 6, 1370, 1370, 64, 64},
    {"detr encoder", 1, 8, 625, 625, 32, 32},
    {"detr decoder", 1, 8, 100, 625, 32, 32},
    {"clip-vit-b32", 1, 12, 50, 50, 64, 64},
    {"yolo11n c2psa", 1, 2, 400, 400, 32, 64},
    {"yolo12n area 40x40", 4, 2, 400, 400, 32, 32},
    {"yolo12n 20x20", 1, 4, 400, 400, 32, 32},
};

}  // namespace peregrine::bench
