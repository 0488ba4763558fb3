// SPDX-License-Identifier: Apache-2.0
// Where every value of a graph lies and in which precision, before any step exists.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "engine/cuda/picture_sources.h"
#include "model/graph.h"

namespace peregrine::cuda {

enum class Precision : std::uint8_t { kFloat32, kFloat16 };

/// A value's place: element 0 is `offset` elements into the memory that `root` owns.
struct Storage {
  const model::Value* root = nullptr;  ///< a value that owns memory; itself for most
  std::int64_t offset = 0;
  Shape strides;
};

/// Precision rule: a float value is float16 when it lies between two heavy ops (convolutions,
/// matrix products, attention): what comes before the first (the caller's pictures) and behind the
/// last (scores and box arithmetic) is float32, and so is everything in an FP32 plan. Integers and
/// bool stay what they are.
///
/// Layout rule: pictures are NHWC, all else follows its largest input, or is row-major. Reshape,
/// Transpose, Slice, Split and Expand are strides on their input where strides can say it. What a
/// Concat joins, and what the caller gets, is written in place by its producer where that can.
/// Nearest upsamplings of FP16 pictures, and their concatenations, are left to the convolution that
/// reads.
class Layout {
 public:
  Layout(const model::Graph& graph, Precision precision);

  const Storage& storage(const model::Value* value) const { return storage_.at(value); }
  DType dtype(const model::Value* value) const;
  /// Whether the node is nothing but strides on its input.
  bool is_view(const model::Node* node) const;
  /// The pictures a convolution reads in place of its input (see picture_sources.h); empty for
  /// most.
  const std::vector<PictureSource>& sources(const model::Node* conv) const;
  /// Whether the node's work is left to the convolution that reads its result.
  bool is_read_through(const model::Node* node) const { return read_through_.contains(node); }
  /// The model output whose memory the root is, if it is one.
  std::optional<int> output_of(const model::Value* root) const;

 private:
  void choose_dtypes(const model::Graph& graph, Precision precision);
  void choose_sources(const model::Graph& graph);
  void prefer_strides(const model::Graph& graph);
  void place_in_readers(const model::Graph& graph);
  void resolve(const model::Graph& graph);
  bool place(const model::Value* value, const Storage& where, DType dtype);

  std::map<const model::Value*, DType> dtypes_;
  std::map<const model::Node*, std::vector<PictureSource>> sources_;
  std::set<const model::Node*> read_through_;
  std::map<const model::Value*, Shape> preferred_;
  std::map<const model::Value*, Storage> placed_;
  std::map<const model::Value*, Storage> storage_;
  std::map<const model::Value*, int> output_roots_;
};

}  // namespace peregrine::cuda
