# libpawl_cuda.so: all CUDA code (kernels, launchers, NCCL), one shared library beside the binary, which loads it when a
# CUDA device is asked for. Built wherever nvcc 13 is found, also on a machine without a GPU.
#
#   pawl_cuda_library(SOURCES advantage.cu ... [DEPS core ...] [LIBS ...])
#
# A folder adds its .cu (and CUDA-side .cc) files to the one target `pawl_cuda`; without nvcc the call does nothing, so it
# needs no condition around it. PAWL_HAVE_CUDA says whether the library is built. The code is linked with libtorch_cuda,
# cuBLAS and NCCL and finds them by RPATH: in the wheels' folder (./pawl setup --cuda) or in the CUDA toolkit.
include_guard()
option(PAWL_CUDA "build libpawl_cuda.so where nvcc is found" ON)
set(PAWL_HAVE_CUDA OFF)
if(NOT PAWL_CUDA)
  function(pawl_cuda_library)
  endfunction()
  return()
endif()

find_program(PAWL_NVCC nvcc HINTS /usr/local/cuda/bin DOC "CUDA compiler")
set(torch_cuda "${PAWL_TORCH_ROOT}/lib/libtorch_cuda.so")
set(reason "")
if(NOT PAWL_NVCC)
  set(reason "no nvcc")
elseif(NOT EXISTS "${torch_cuda}")
  set(reason "${PAWL_TORCH_ROOT} has no libtorch_cuda.so")
else()
  set(CMAKE_CUDA_COMPILER "${PAWL_NVCC}")
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90)  # A100, H100 and, by the PTX of 90, what follows
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc has C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  set(toolkit "${CMAKE_CUDA_COMPILER_TOOLKIT_ROOT}")
  # the header of NCCL must not be newer than the library LibTorch loads: the wheel's first
  find_path(PAWL_NCCL_INCLUDE nccl.h HINTS "${PAWL_DEPS_DIR}/nvidia/nccl/include" "${toolkit}/include")
  find_library(PAWL_NCCL NAMES libnccl.so.2 HINTS "${PAWL_DEPS_DIR}/nvidia/nccl/lib" "${toolkit}/lib64")
  find_library(PAWL_CUBLAS NAMES libcublas.so.13 HINTS "${PAWL_DEPS_DIR}/nvidia/cu13/lib" "${toolkit}/lib64")
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 13 OR CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 14)
    set(reason "nvcc is ${CMAKE_CUDA_COMPILER_VERSION}, LibTorch needs 13")
  elseif(NOT PAWL_NCCL OR NOT PAWL_NCCL_INCLUDE OR NOT PAWL_CUBLAS)
    set(reason "NCCL or cuBLAS is missing: ./pawl setup --cuda brings them")
  endif()
endif()
if(reason)
  message(STATUS "libpawl_cuda.so is not built: ${reason}")
  function(pawl_cuda_library)
  endfunction()
  return()
endif()
set(PAWL_HAVE_CUDA ON)

function(pawl_cuda_library)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  if(NOT TARGET pawl_cuda)
    add_library(pawl_cuda SHARED)
    target_include_directories(pawl_cuda PRIVATE ${pawl_SOURCE_DIR}/src ${pawl_SOURCE_DIR}
      ${PAWL_NCCL_INCLUDE})
    # as on the CPU: a*b+c is two roundings unless the source says fmaf
    target_compile_options(pawl_cuda PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false -Xcompiler=-Wall,-Wextra,-Wno-unused-parameter>
      $<$<COMPILE_LANGUAGE:CXX>:${PAWL_WARNINGS} ${PAWL_FLAGS}>)
    # named even where no symbol is used: LibTorch's CUDA backend registers itself when it is loaded. Some of its own
    # libraries may be missing here; whoever loads pawl_cuda needs them, the linker does not.
    target_link_libraries(pawl_cuda PRIVATE -Wl,--no-as-needed ${torch_cuda}
      ${PAWL_TORCH_ROOT}/lib/libc10_cuda.so ${PAWL_NCCL} ${PAWL_CUBLAS} -Wl,--as-needed)
    target_link_options(pawl_cuda PRIVATE -Wl,--allow-shlib-undefined
      # DT_RPATH, which also serves the libraries that LibTorch's own libraries name
      -Wl,--disable-new-dtags)
    set_target_properties(pawl_cuda PROPERTIES
      LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}  # of the whole build: beside the programs, which look there
      BUILD_RPATH "${PAWL_TORCH_ROOT}/lib;${PAWL_DEPS_DIR}/nvidia/cu13/lib;${PAWL_DEPS_DIR}/nvidia/nccl/lib;${toolkit}/lib64")
  endif()
  target_sources(pawl_cuda PRIVATE ${A_SOURCES})
  list(TRANSFORM A_DEPS PREPEND pawl_)
  target_link_libraries(pawl_cuda PRIVATE ${A_DEPS} ${A_LIBS})
endfunction()
