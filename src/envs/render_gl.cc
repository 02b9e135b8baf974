#include "envs/render_gl.h"

#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace pawl::envs {
namespace {

// What is used of EGL 1.5 and its extensions, from their specifications: no header is needed to
// build.
using EglHandle = void*;
using EglBoolean = unsigned;
constexpr unsigned kOpenGlApi = 0x30A2;            // EGL_OPENGL_API
constexpr unsigned kPlatformSurfaceless = 0x31DD;  // EGL_PLATFORM_SURFACELESS_MESA
constexpr unsigned kPlatformDevice = 0x313F;       // EGL_PLATFORM_DEVICE_EXT
constexpr const char* kInstallHint = "install libegl1 and libgl1-mesa-dri (or the GPU's driver)";

struct Egl {
  EglHandle display = nullptr;
  EglHandle (*get_platform_display)(unsigned, void*, const int32_t*) = nullptr;
  EglBoolean (*initialize)(EglHandle, int32_t*, int32_t*) = nullptr;
  EglBoolean (*bind_api)(unsigned) = nullptr;
  EglHandle (*create_context)(EglHandle, EglHandle, EglHandle, const int32_t*) = nullptr;
  EglBoolean (*destroy_context)(EglHandle, EglHandle) = nullptr;
  EglBoolean (*make_current)(EglHandle, EglHandle, EglHandle, EglHandle) = nullptr;
  int32_t (*get_error)() = nullptr;
  std::string failure;  // why there is no display; empty when there is one
};

template <class Function>
bool Find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

// Extension functions are found through eglGetProcAddress.
template <class Function>
bool FindExtension(void* library, const char* name, Function& function) {
  void* (*get_proc_address)(const char*) = nullptr;
  if (!Find(library, "eglGetProcAddress", get_proc_address)) return false;
  function = reinterpret_cast<Function>(get_proc_address(name));
  return function != nullptr;
}

// Whether a context without a configuration can be made on this display and made current without a
// surface.
bool Works(const Egl& egl, EglHandle display) {
  if (display == nullptr || !egl.initialize(display, nullptr, nullptr)) return false;
  if (!egl.bind_api(kOpenGlApi)) return false;
  EglHandle context = egl.create_context(display, nullptr, nullptr, nullptr);
  if (context == nullptr) return false;
  const bool works = egl.make_current(display, nullptr, nullptr, context) != 0;
  egl.make_current(display, nullptr, nullptr, nullptr);
  egl.destroy_context(display, context);
  return works;
}

EglHandle FindDisplay(void* library, const Egl& egl) {
  EglHandle display = egl.get_platform_display(kPlatformSurfaceless, nullptr, nullptr);
  if (Works(egl, display)) return display;
  EglBoolean (*query_devices)(int32_t, EglHandle*, int32_t*) = nullptr;
  if (!FindExtension(library, "eglQueryDevicesEXT", query_devices)) return nullptr;
  std::array<EglHandle, 16> devices{};
  int32_t count = 0;
  if (!query_devices(static_cast<int32_t>(devices.size()), devices.data(), &count)) return nullptr;
  for (int32_t i = 0; i < count; ++i) {
    display = egl.get_platform_display(kPlatformDevice, devices[static_cast<size_t>(i)], nullptr);
    if (Works(egl, display)) return display;
  }
  return nullptr;
}

Egl LoadEgl() {
  Egl egl;
  // never closed: drivers leave threads and exit handlers behind
  void* library = ::dlopen("libEGL.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = ::dlerror();
    egl.failure = reason != nullptr ? reason : "libEGL.so.1 cannot be loaded";
    return egl;
  }
  const bool complete =
      Find(library, "eglInitialize", egl.initialize) && Find(library, "eglBindAPI", egl.bind_api) &&
      Find(library, "eglCreateContext", egl.create_context) &&
      Find(library, "eglDestroyContext", egl.destroy_context) &&
      Find(library, "eglMakeCurrent", egl.make_current) &&
      Find(library, "eglGetError", egl.get_error) &&
      FindExtension(library, "eglGetPlatformDisplayEXT", egl.get_platform_display);
  if (!complete) {
    egl.failure = "libEGL.so.1 is too old";
    return egl;
  }
  egl.display = FindDisplay(library, egl);
  if (egl.display == nullptr) egl.failure = "no EGL platform gives a context without a display";
  return egl;
}

// The process's display: EGL allows one initialisation to serve all threads.
const Egl& SharedEgl() {
  static const Egl egl = LoadEgl();
  if (!egl.failure.empty()) {
    throw RunError({.what = "no offscreen OpenGL: " + egl.failure, .hint = kInstallHint});
  }
  return egl;
}

[[noreturn]] void Fail(const Egl& egl, const char* function) {
  throw RunError({.what = fmt::format("no offscreen OpenGL: {} failed with error 0x{:x}", function,
                                      egl.get_error()),
                  .hint = kInstallHint});
}
}  // namespace

GlContext::GlContext() {
  const Egl& egl = SharedEgl();
  // the bound API belongs to the thread
  if (!egl.bind_api(kOpenGlApi)) Fail(egl, "eglBindAPI");
  context_ = egl.create_context(egl.display, /*config=*/nullptr, /*share=*/nullptr, nullptr);
  if (context_ == nullptr) Fail(egl, "eglCreateContext");
}

GlContext::~GlContext() { SharedEgl().destroy_context(SharedEgl().display, context_); }

GlContext::Current::Current(const GlContext& context) {
  const Egl& egl = SharedEgl();
  if (!egl.bind_api(kOpenGlApi)) Fail(egl, "eglBindAPI");
  if (!egl.make_current(egl.display, nullptr, nullptr, context.context_))
    Fail(egl, "eglMakeCurrent");
}

GlContext::Current::~Current() {
  const Egl& egl = SharedEgl();
  egl.make_current(egl.display, nullptr, nullptr, nullptr);
}

}  // namespace pawl::envs
