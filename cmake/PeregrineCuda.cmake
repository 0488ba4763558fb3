# The CUDA engine is optional at build time: without a toolkit the program has no `--device cuda`, and says so.
# The runtime is linked statically and the driver is found when the program asks for a GPU, so one binary
# also starts where there is no GPU, no driver and no toolkit.
set(PEREGRINE_WITH_CUDA OFF)
if(NOT PEREGRINE_CUDA STREQUAL "OFF")
  # Machine code for what we measure on or know people own, PTX for what comes after.
  # sm_90a is for Hopper's own instructions; its PTX is not forward compatible, so the PTX is plain compute_90.
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90a-real 90-virtual)
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 13.0)
      set(PEREGRINE_WITH_CUDA ON)
    endif()
  endif()
  if(PEREGRINE_CUDA STREQUAL "ON" AND NOT PEREGRINE_WITH_CUDA)
    message(FATAL_ERROR "PEREGRINE_CUDA=ON needs a CUDA toolkit of version 13 or later "
                        "(found: '${CMAKE_CUDA_COMPILER_VERSION}'). Put its nvcc on the PATH or set CUDACXX.")
  endif()
endif()
message(STATUS "CUDA engine: ${PEREGRINE_WITH_CUDA}")

if(PEREGRINE_WITH_CUDA)
  find_package(CUDAToolkit 13.0 REQUIRED)
  # CMake 3.25 does not know yet that nvcc speaks C++20.
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
endif()
