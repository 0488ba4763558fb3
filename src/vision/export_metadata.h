// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace peregrine::vision {

/// What exporters of YOLO models write beside the graph (ONNX metadata_props). Every value is text:
/// numbers and containers are Python literals, such as `{0: 'person', 1: "dog's bowl"}`.
struct ExportMetadata {
  std::string task;                 ///< "detect", "segment", ...; empty when absent
  std::vector<std::string> names;   ///< class names by id; empty when absent
  bool names_unreadable = false;    ///< "names" is there and is no dict or list of names
  std::vector<int> image_size;      ///< "imgsz": {height, width}; empty when absent
  std::vector<int> keypoint_shape;  ///< "kpt_shape": {keypoints, values}; empty when absent
  bool rt_detr = false;             ///< "description" names RT-DETR
  bool end_to_end = false;          ///< the graph suppresses: "end2end", or exported with nms=True
};

/// Unknown keys are left alone; unreadable values count as absent (but see `names_unreadable`).
ExportMetadata read_export_metadata(const std::map<std::string, std::string>& metadata);

/// A Python or JSON dict from ids to names, or a list of names. Ids without a name become "class
/// N". Empty when `text` is anything else.
std::optional<std::vector<std::string>> parse_names(std::string_view text);

/// "640", "(640, 480)" or "[17, 3]"; empty when `text` is anything else.
std::vector<int> parse_integers(std::string_view text);

}  // namespace peregrine::vision
