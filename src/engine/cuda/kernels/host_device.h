// SPDX-License-Identifier: Apache-2.0
#pragma once

// Functions that kernels share with the CPU's tests of their index arithmetic.
#ifdef __CUDACC__
#define PEREGRINE_HOST_DEVICE __host__ __device__ __forceinline__
#define PEREGRINE_UNROLL _Pragma("unroll")
#else
#define PEREGRINE_HOST_DEVICE inline
#define PEREGRINE_UNROLL
#endif
