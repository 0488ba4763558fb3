// SPDX-License-Identifier: Apache-2.0
// Lengths that depend on contents (NonZero, NonMaxSuppression) in an engine whose shapes are fixed:
// such a result gets the largest length it can have. Its rows past the true count are *absent*: -1
// where they hold indices, zeros where they were gathered by those.
//
// This follows absent rows through a graph in its order. Most nodes treat rows one by one and need
// to know nothing; those that gather get the attribute "absent_rows" and give zeros for an index
// of -1. A node that would take an absent row for a real one is refused by name, as is arithmetic
// that would take the largest length for the true count.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string_view>

#include "model/graph.h"

namespace peregrine::model {

class AbsentRows {
 public:
  /// Fixes the length of the node's result if that depends on contents; before shapes are inferred.
  static void bound(Node& node);
  /// After the node's shapes were inferred and before it is folded. Throws
  /// `Error(kModelUnsupported)` naming the node.
  void follow(Node& node);
  /// Throws where an output of the model says how many rows there are.
  void finish(const Graph& graph) const;

 private:
  enum class Fill : std::uint8_t { kIndices, kZeros, kAnything };
  struct Absence {
    Value* source = nullptr;  ///< whose -1 entries say which rows are absent
    std::size_t axis = 0;
    Fill fill = Fill::kAnything;
  };

  const Absence* absence(const Value* value) const;
  void follow_counts(const Node& node);
  /// Nodes that move rows or work within each (absent_rows_through.cc).
  static Absence through(const Node& node, const Absence& x);
  static Absence padded(const Node& node, const Absence& x);
  static Absence reduced(const Node& node, const Absence& x);
  Absence through_elementwise(const Node& node) const;
  Absence through_concat(const Node& node) const;
  Absence gathered(Node& node) const;
  void follow_suppression(Node& node) const;
  [[noreturn]] static void refuse(const Node& node, const char* what);
  static std::size_t axis_of(const Node& node, std::int64_t otherwise);
  static bool is_zero(const Value* value);   ///< a constant of zeros, or absent
  static std::string_view kernel_of(Op op);  ///< of the reference interpreter

  std::map<const Value*, Absence> absent_;
  std::set<const Value*> counts_;  // constants made of the length of a tensor with absent rows
};

/// The attributes that `bound` and `follow` set.
inline constexpr const char* kBoundedAttribute = "bounded";
inline constexpr const char* kAbsentRowsAttribute = "absent_rows";

}  // namespace peregrine::model
