// Offscreen OpenGL without a display: a context from libEGL, loaded when the first one is made, so
// that programs which never render need no graphics library at all. Used by render.h only.
#pragma once

namespace pawl::envs {

// One OpenGL context (desktop profile, no surface: only framebuffer objects can be drawn to). Owned
// by one thread at a time; several contexts may be in use on several threads.
class GlContext {
 public:
  // Mesa's surfaceless platform, else the first EGL device that works (NVIDIA's driver). Throws
  // RunError in one line that says what is missing.
  GlContext();
  ~GlContext();
  GlContext(const GlContext&) = delete;
  GlContext& operator=(const GlContext&) = delete;

  // While it lives the context is the calling thread's current one.
  class Current {
   public:
    explicit Current(const GlContext& context);
    ~Current();
    Current(const Current&) = delete;
    Current& operator=(const Current&) = delete;
  };

 private:
  void* context_ = nullptr;
};

}  // namespace pawl::envs
