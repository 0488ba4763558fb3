// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "core/cuda/check.h"
#include "core/cuda/handles.h"
#include "engine/cuda/cuda_engine.h"
#include "engine/cuda/plan_builder.h"

namespace peregrine::testing {

/// Outputs of an inferred graph, run by the CUDA engine with every tuned step's first tactic. What
/// the engine must write starts as 0xff bytes.
inline std::vector<Tensor> run_on_gpu(const model::Graph& graph, cuda::Precision precision,
                                      std::span<const Tensor> inputs) {
  const auto engine =
      std::make_shared<cuda::CudaEngine>(cuda::lower_to_plan(std::span(&graph, 1), precision), 0);
  std::vector<cuda::DeviceBuffer> buffers;
  const auto add = [&](DType dtype, const Shape& shape, const void* contents) {
    const std::size_t bytes = byte_size(dtype, shape);
    buffers.emplace_back(std::max<std::size_t>(bytes, 1));
    if (contents) {
      CUDA_CHECK(cudaMemcpy(buffers.back().data(), contents, bytes, cudaMemcpyHostToDevice));
    } else {
      CUDA_CHECK(cudaMemset(buffers.back().data(), 0xff, bytes));
    }
    return TensorView(buffers.back().data(), dtype, shape, Device::cuda());
  };
  std::vector<TensorView> from, to;
  for (const Tensor& input : inputs)
    from.push_back(add(input.dtype(), input.shape(), input.data()));
  for (const model::Value* output : graph.outputs()) {
    to.push_back(add(output->dtype, output->shape, nullptr));
  }
  CUDA_CHECK(cudaDeviceSynchronize());  // the context's stream does not wait for copies and fills
  const auto context = engine->create_context();
  context->enqueue(from, to, engine->max_batch());
  context->wait();
  CUDA_CHECK(cudaDeviceSynchronize());
  std::vector<Tensor> results;
  for (const TensorView& view : to) {
    Tensor result(view.dtype, view.shape);
    CUDA_CHECK(cudaMemcpy(result.data(), view.data, result.bytes(), cudaMemcpyDeviceToHost));
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace peregrine::testing
