// SPDX-License-Identifier: Apache-2.0
// Functions that kernels and host code (plans, tests without a GPU) share.
#pragma once

#ifdef __CUDACC__
#define PEREGRINE_HOST_DEVICE __host__ __device__ __forceinline__
/// For what is rarely called: a call costs less than its code in every kernel's instruction cache.
#define PEREGRINE_HOST_DEVICE_CALL inline __host__ __device__ __noinline__
#else
#define PEREGRINE_HOST_DEVICE inline
#define PEREGRINE_HOST_DEVICE_CALL inline
#endif

/// Before a loop whose array must stay in registers; the host's compiler knows no such pragma.
#ifdef __CUDA_ARCH__
#define PEREGRINE_UNROLL _Pragma("unroll")
#define PEREGRINE_DO_NOT_UNROLL _Pragma("unroll 1")
#else
#define PEREGRINE_UNROLL
#define PEREGRINE_DO_NOT_UNROLL
#endif
