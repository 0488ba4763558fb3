// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace peregrine::model {

/// SHA-256 of a model's contents, hexadecimal: of the ONNX file itself or, where weights lie in
/// files beside it, of it and them. Throws `Error(kModelInvalid)` for what cannot be read or names
/// files outside its folder. Cost: about 1.8 GB/s.
std::string model_digest(const std::string& path);

}  // namespace peregrine::model
