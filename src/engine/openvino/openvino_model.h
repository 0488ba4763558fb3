// SPDX-License-Identifier: Apache-2.0
// Inside the folder only: OpenVINO's types never reach another one.
#pragma once

#include <exception>
#include <memory>
#include <string>

#include <openvino/core/model.hpp>

#include "engine/openvino/openvino_engine.h"

namespace peregrine::engine {

/// Reads an ONNX file, and nothing else that OpenVINO also knows. Throws `Error(kModelInvalid)` or
/// `Error(kModelUnsupported)`.
std::shared_ptr<ov::Model> read_onnx(const std::string& path);

/// Makes every shape known with a batch of 1, floating inputs float32 and all outputs float32.
/// Throws `Error(kModelUnsupported)` where that is impossible.
std::shared_ptr<ov::Model> specialise(std::shared_ptr<ov::Model> model, const std::string& path,
                                      const OpenVinoOptions& options);

/// The line of an OpenVINO exception that says what is wrong; the others name its source files.
std::string openvino_reason(const std::exception& error);

/// Throws `Error(kModelUnsupported)` for an element type Peregrine has no name for.
DType dtype_from(const ov::element::Type& type, const std::string& path);
ov::element::Type element_type(DType dtype);

}  // namespace peregrine::engine
