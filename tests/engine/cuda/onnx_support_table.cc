// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/onnx_support_table.h"

#include <algorithm>
#include <fstream>

#include <fmt/format.h>

namespace peregrine::testing {
namespace {

constexpr const char* kIntroduction =
    R"(# ONNX support

What ONNX's own backend node tests (wheel `onnx` 1.19.1) say of the reference interpreter, which
defines every op for Peregrine's engines, and of the CUDA engine. *Unsupported* is refused before
anything runs, with a message that names the node: when the model is read (another dtype such as
strings, float8 or 4-bit, another domain, training, an If that data or the batch decide, loops,
sequences, an opset outside 11 to 24), or when a plan is built. What the reference refuses, CUDA
refuses.

CUDA's cases are compiled with the passes and without; FP32 answers lie within the tolerance of
ONNX's runner (a thousandth), FP16 plans' within a hundredth of the largest, and integers are exact.
Shapes, axes, counts and the like, which the tests give as inputs, are constants where the engine
asks for that, as they are in real models.

Made by `PEREGRINE_ONNX_SUPPORT_TABLE=docs/onnx-support.md build/ci/bin/test_engine_cuda_nodes`.
)";

std::string cells(const std::array<std::map<Outcome, int>, OnnxSupportTable::kColumns>& columns) {
  std::string row;
  for (const auto& counts : columns) {
    for (const Outcome outcome : {Outcome::kPass, Outcome::kUnsupported, Outcome::kWrong}) {
      const auto found = counts.find(outcome);
      row += fmt::format(" {} |", found == counts.end() ? 0 : found->second);
    }
  }
  return row;
}

}  // namespace

void OnnxSupportTable::add(const std::string& op, Column column, Outcome outcome) {
  ++ops_[op][column][outcome];
}

void OnnxSupportTable::add_refusal(const std::string& message) {
  // "...node 'name' (Op): reason. Nothing runs elsewhere..." or "...: reason; what to do".
  const std::size_t op = message.find(" (", message.find("node '"));
  const std::size_t reason = message.find("): ", op);
  if (op == std::string::npos || reason == std::string::npos) return;
  const std::size_t end = std::min(message.find(". ", reason), message.find("; ", reason));
  refusals_.insert(message.substr(op + 2, reason - op - 2) + ": " +
                   message.substr(reason + 3, end - reason - 3));
}

int OnnxSupportTable::count(Column column, Outcome outcome) const {
  int sum = 0;
  for (const auto& [op, columns] : ops_) {
    const auto found = columns[column].find(outcome);
    if (found != columns[column].end()) sum += found->second;
  }
  return sum;
}

void OnnxSupportTable::write(const std::string& path, bool on_gpu) const {
  std::ofstream out(path);
  out << kIntroduction;
  out << (on_gpu ? "CUDA's cases ran on a GPU.\n"
                 : "CUDA's cases were lowered, and their steps computed on the host.\n")
      << "\n| op | reference: pass | unsupported | wrong | CUDA FP32: pass | unsupported | wrong "
         "| CUDA FP16: pass | unsupported | wrong |\n"
         "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n";
  std::array<Counts, kColumns> sums;
  for (const auto& [op, columns] : ops_) {
    for (std::size_t i = 0; i < kColumns; ++i) {
      for (const auto& [outcome, count] : columns[i]) sums[i][outcome] += count;
    }
  }
  out << "| **all** |" << cells(sums) << "\n";
  std::string refused;
  for (const auto& [op, columns] : ops_) {
    const Counts& reference = columns[kReference];
    if (reference.size() == 1 && reference.contains(Outcome::kUnsupported)) {
      refused += (refused.empty() ? "" : ", ") + op;
    } else {
      out << "| " << op << " |" << cells(columns) << "\n";
    }
  }
  out << "\nRefused altogether: " << refused << ".\n\nRefused by CUDA alone:\n\n";
  for (const std::string& refusal : refusals_) out << "- " << refusal << "\n";
}

}  // namespace peregrine::testing
