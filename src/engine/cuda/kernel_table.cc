// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/kernel_table.h"

namespace peregrine::cuda {

#define PEREGRINE_KERNEL(name) void run_##name(const BoundStep& step);
#define PEREGRINE_TUNED_KERNEL(name) \
  PEREGRINE_KERNEL(name)             \
  std::vector<std::string> tactics_##name(const BoundStep&, const DeviceInfo&, std::size_t);
#include "engine/cuda/kernels.def"
#undef PEREGRINE_TUNED_KERNEL
#undef PEREGRINE_KERNEL

namespace {

constexpr Kernel kKernels[] = {
#define PEREGRINE_KERNEL(name) {#name, &run_##name, nullptr},
#define PEREGRINE_TUNED_KERNEL(name) {#name, &run_##name, &tactics_##name},
#include "engine/cuda/kernels.def"
#undef PEREGRINE_TUNED_KERNEL
#undef PEREGRINE_KERNEL
};

}  // namespace

const TensorView& BoundStep::input(std::size_t index) const {
  static const TensorView absent;
  return index < inputs.size() ? inputs[index] : absent;
}

const Kernel* find_kernel(std::string_view name) {
  for (const Kernel& kernel : kKernels) {
    if (name == kernel.name) return &kernel;
  }
  return nullptr;
}

}  // namespace peregrine::cuda
