# Everything the build takes from outside, as imported targets. PAWL_DEPS_DIR holds the unpacked wheels side by side
# (`./pawl setup` makes it); they find each other by RPATH, so no environment variable is needed at run time.
include_guard()
set(PAWL_DEPS_DIR "" CACHE PATH "folder with the unpacked wheels; empty: the cache that ./pawl setup fills")
set(PAWL_LIBTORCH_DIR "" CACHE PATH "a LibTorch 2.11 of your own (include/, lib/); empty: what ./pawl setup --libtorch said")

# `./pawl setup --libtorch DIR` leaves its choice in build/libtorch-dir
if(NOT PAWL_LIBTORCH_DIR AND EXISTS "${pawl_SOURCE_DIR}/build/libtorch-dir")
  file(STRINGS "${pawl_SOURCE_DIR}/build/libtorch-dir" PAWL_LIBTORCH_DIR)
endif()
if(PAWL_LIBTORCH_DIR)
  set(LIBTORCH_DIR "${PAWL_LIBTORCH_DIR}")
  include(${CMAKE_CURRENT_LIST_DIR}/check_libtorch.cmake)
endif()

# the same folder as in setup.sh: named by the lock file's hash
if(NOT PAWL_DEPS_DIR)
  set(cache_root "$ENV{XDG_CACHE_HOME}")
  if(NOT cache_root)
    set(cache_root "$ENV{HOME}/.cache")
  endif()
  file(SHA256 "${CMAKE_CURRENT_LIST_DIR}/deps.lock" lock_hash)
  string(SUBSTRING ${lock_hash} 0 16 lock_hash)
  set(PAWL_DEPS_DIR "${cache_root}/pawl/deps/${lock_hash}")
  if(PAWL_LIBTORCH_DIR)
    string(APPEND PAWL_DEPS_DIR "-notorch")
  endif()
endif()
if(NOT EXISTS "${PAWL_DEPS_DIR}/mujoco/libmujoco.so.4.0.0")
  message(FATAL_ERROR "'${PAWL_DEPS_DIR}' holds no unpacked wheels: run ./pawl setup")
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/deps.lock")

# a project that takes Pawl in by add_subdirectory links the same targets from its own folder
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(Threads REQUIRED)
if(PAWL_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
find_package(PkgConfig REQUIRED)

# --- LibTorch: find_package(Torch) of this wheel insists on a CUDA toolkit, so the targets are defined here
set(PAWL_TORCH_ROOT "${PAWL_DEPS_DIR}/torch")
if(PAWL_LIBTORCH_DIR)
  set(PAWL_TORCH_ROOT "${PAWL_LIBTORCH_DIR}")
endif()
add_library(pawl::torch INTERFACE IMPORTED GLOBAL)
# after the system's folders: the wheel brings its own fmt headers, whose library we do not have
target_compile_options(pawl::torch INTERFACE
  "SHELL:-idirafter ${PAWL_TORCH_ROOT}/include" "SHELL:-idirafter ${PAWL_TORCH_ROOT}/include/torch/csrc/api/include")
# but not of a target that loads what needs them at run time
foreach(library libtorch_cpu.so libc10.so)
  target_link_libraries(pawl::torch INTERFACE
    $<$<NOT:$<BOOL:$<TARGET_PROPERTY:PAWL_LOADS_TORCH>>>:${PAWL_TORCH_ROOT}/lib/${library}>)
endforeach()
target_compile_definitions(pawl::torch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)

# --- MuJoCo: the wheel's library has no plain name
add_library(pawl::mujoco SHARED IMPORTED GLOBAL)
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
find_package(ZLIB REQUIRED)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET GLOBAL libhwy)
add_library(pawl::hwy ALIAS PkgConfig::HWY)
find_path(TOMLPP_INCLUDE toml++/toml.h REQUIRED)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET GLOBAL libutf8proc)
add_library(pawl::utf8proc ALIAS PkgConfig::UTF8PROC)
pkg_check_modules(LIBAV IMPORTED_TARGET GLOBAL libavformat libavcodec libavutil libswscale)
