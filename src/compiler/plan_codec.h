// SPDX-License-Identifier: Apache-2.0
// Plans as bytes and back: the contents of a plan file's sections. Data only, little-endian, no
// pointers; lists carry their length. What the bytes mean is checked in plan_check.h.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <vector>

#include "compiler/plan.h"

namespace peregrine::compiler {

/// Bytes that are no plan; the message says where they stop making sense, without the file's name.
class MalformedPlan : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Everything but weights and programs.
std::vector<std::byte> encode_manifest(const Plan& plan);
std::vector<std::byte> encode_programs(const std::vector<Program>& programs);
std::vector<std::byte> encode_step(const Step& step);

/// Throw `MalformedPlan`. Memory taken stays within a small multiple of `bytes`, whatever they say.
void decode_manifest(std::span<const std::byte> bytes, Plan& plan);
std::vector<Program> decode_programs(std::span<const std::byte> bytes);

}  // namespace peregrine::compiler
