# Everything the build takes from outside, as imported targets. PAWL_DEPS_DIR holds the unpacked wheels side by side
# (`./pawl setup` makes it); they find each other by RPATH, so no environment variable is needed at run time.
include_guard()
set(PAWL_DEPS_DIR "" CACHE PATH "folder with the unpacked wheels (torch, mujoco, gymnasium, nvidia); made by ./pawl setup")
set(PAWL_LIBTORCH_DIR "" CACHE PATH "a LibTorch 2.11 of your own (folder with include/ and lib/) instead of the wheel's")
if(NOT EXISTS "${PAWL_DEPS_DIR}/mujoco/libmujoco.so.4.0.0")
  message(FATAL_ERROR "PAWL_DEPS_DIR='${PAWL_DEPS_DIR}' holds no unpacked wheels: run ./pawl setup, which prints the folder")
endif()

find_package(Threads REQUIRED)
find_package(GTest REQUIRED)
include(GoogleTest)
find_package(PkgConfig REQUIRED)

# --- LibTorch: find_package(Torch) of this wheel insists on a CUDA toolkit, so the targets are defined here
set(torch_root "${PAWL_DEPS_DIR}/torch")
if(PAWL_LIBTORCH_DIR)
  set(torch_root "${PAWL_LIBTORCH_DIR}")
endif()
add_library(pawl::torch INTERFACE IMPORTED)
# after the system's folders: the wheel brings its own fmt headers, whose library we do not have
target_compile_options(pawl::torch INTERFACE
  "SHELL:-idirafter ${torch_root}/include" "SHELL:-idirafter ${torch_root}/include/torch/csrc/api/include")
target_link_libraries(pawl::torch INTERFACE
  ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so)
target_compile_definitions(pawl::torch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)

# --- MuJoCo: the wheel's library has no plain name
add_library(pawl::mujoco SHARED IMPORTED)
set_target_properties(pawl::mujoco PROPERTIES
  IMPORTED_LOCATION ${PAWL_DEPS_DIR}/mujoco/libmujoco.so.4.0.0
  IMPORTED_NO_SONAME FALSE)
target_include_directories(pawl::mujoco SYSTEM INTERFACE ${PAWL_DEPS_DIR}/mujoco/include)
set(PAWL_GYMNASIUM_ASSETS ${PAWL_DEPS_DIR}/gymnasium/envs/mujoco/assets)

# --- Debian packages
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
add_library(pawl::hwy ALIAS PkgConfig::HWY)
find_path(TOMLPP_INCLUDE toml++/toml.h REQUIRED)
pkg_check_modules(LIBAV IMPORTED_TARGET libavformat libavcodec libavutil libswscale)
