// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "vision/output_decoder_cuda.h"

namespace peregrine::vision {

/// Detect, segment, pose and obb, over each box head.
std::unique_ptr<GpuOutputDecoder> make_gpu_box_decoder(const TaskSpec& spec,
                                                       const DecodeOptions& options,
                                                       std::span<const TensorSpec> outputs,
                                                       int max_batch);
/// Detect, over the heads of DETR and RT-DETR.
std::unique_ptr<GpuOutputDecoder> make_gpu_detr_decoder(const TaskSpec& spec,
                                                        const DecodeOptions& options,
                                                        std::span<const TensorSpec> outputs,
                                                        int max_batch);
std::unique_ptr<GpuOutputDecoder> make_gpu_depth_decoder(const TaskSpec& spec,
                                                         std::span<const TensorSpec> outputs,
                                                         int max_batch);
/// Classification and embeddings.
std::unique_ptr<GpuOutputDecoder> make_gpu_row_decoder(const TaskSpec& spec,
                                                       std::span<const TensorSpec> outputs,
                                                       int max_batch);

/// An output of an engine that is decoded on the GPU, as it was when the decoder was made.
class DeviceOutput {
 public:
  DeviceOutput() = default;
  /// On the current device. Throws `Error(kInvalidShape)` when there is no such output or it is
  /// not float32 of one of `ranks` dimensions, all but the batch known.
  DeviceOutput(std::span<const TensorSpec> outputs, int index, std::initializer_list<int> ranks);

  /// Shape at any batch.
  const Shape& shape() const { return shape_; }
  /// Floats of one picture.
  std::int64_t picture_size() const { return picture_size_; }
  /// Where the engine has written it for `pictures` pictures. Throws `Error(kInvalidShape)`.
  const float* data(std::span<const TensorView> outputs, std::size_t pictures) const;

 private:
  int index_ = 0;
  Device device_;
  Shape shape_;
  std::int64_t picture_size_ = 0;
};

/// Throws `Error(kInvalidArgument)` unless `pictures` is 1 to `max_batch`.
void check_batch(std::size_t pictures, int max_batch);
/// Throws `Error(kInvalidArgument)` unless picture `item` is one of the batch's.
void check_item(int item, std::size_t pictures);

}  // namespace peregrine::vision
