#include "envs/video_libav.h"

#include <dlfcn.h>

#include <string>

#include "core/error.h"

namespace pawl::envs {
namespace {

struct Loaded {
  Libav libav;
  std::string failure;
};

// The name with the major version of the headers: the layout of libav's structs belongs to it.
void* Open(const char* library, int major, std::string& failure) {
  const std::string name = fmt::format("lib{}.so.{}", library, major);
  void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr && failure.empty()) {
    const char* reason = ::dlerror();
    failure = reason != nullptr ? reason : name + " cannot be loaded";
  }
  return handle;
}

Loaded Load() {
  Loaded loaded;
  std::string& failure = loaded.failure;
  void* avutil = Open("avutil", LIBAVUTIL_VERSION_MAJOR, failure);
  void* avcodec = Open("avcodec", LIBAVCODEC_VERSION_MAJOR, failure);
  void* avformat = Open("avformat", LIBAVFORMAT_VERSION_MAJOR, failure);
  void* swscale = Open("swscale", LIBSWSCALE_VERSION_MAJOR, failure);
  if (!failure.empty()) return loaded;
#define PAWL_FIND(library, function)                                                  \
  loaded.libav.function =                                                             \
      reinterpret_cast<decltype(loaded.libav.function)>(::dlsym(library, #function)); \
  if (loaded.libav.function == nullptr) failure = "lib" #library " lacks " #function;
  PAWL_LIBAV_FUNCTIONS(PAWL_FIND)
#undef PAWL_FIND
  // errors come back as codes; libx264's statistics are of no interest
  if (failure.empty()) loaded.libav.av_log_set_level(AV_LOG_QUIET);
  return loaded;
}
}  // namespace

const Libav& LoadLibav() {
  static const Loaded loaded = Load();
  if (!loaded.failure.empty()) {
    throw RunError({.what = "no video encoder: " + loaded.failure,
                    .hint = "install libavformat, libavcodec and libswscale"});
  }
  return loaded.libav;
}

}  // namespace pawl::envs
