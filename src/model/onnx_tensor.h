// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "peregrine/tensor.h"

namespace peregrine::onnx {
class TensorProto;
}

namespace peregrine::model {

/// The dtype of ONNX's TensorProto.DataType, none for those Peregrine has not (strings, complex,
/// float8, 4-bit integers).
std::optional<DType> dtype_of_onnx(int data_type);
/// ONNX's number of a dtype.
int onnx_of_dtype(DType dtype);

/// Contents of an initializer or tensor attribute, checked: its size is compared with what the file
/// really holds before memory is taken. External data is read from the folder of `model_path` and
/// nowhere else. `name` is for messages. Throws `Error(kModelInvalid)` and
/// `Error(kModelUnsupported)`.
Tensor read_tensor(const onnx::TensorProto& proto, const std::string& name,
                   const std::string& model_path);

/// Reads `length` bytes (all that follow when none is given) at `offset` of `location`, a path
/// relative to the model's folder, into `tensor`. Absolute paths, "..", and symbolic links that
/// leave the folder are refused before anything is opened.
void read_external_data(const std::string& location, std::int64_t offset,
                        std::optional<std::int64_t> length, const std::string& name,
                        const std::string& model_path, DType dtype, const Shape& shape,
                        Tensor& tensor);

}  // namespace peregrine::model
