#include "envs/render.h"

#include <mujoco/mujoco.h>

#include <algorithm>

#include "core/error.h"
#include "envs/mujoco_log.h"
#include "envs/render_gl.h"

namespace pawl::envs {
namespace {
constexpr int kMaxSize = 8192;
constexpr int kMaxGeoms = 10000;

mjvCamera FreeCamera(const MujocoScene& scene) {
  mjvCamera camera;
  mjv_defaultCamera(&camera);
  camera.type = mjCAMERA_FREE;
  camera.azimuth = scene.azimuth;
  camera.elevation = scene.elevation;
  camera.distance = scene.distance;
  std::copy_n(scene.lookat, 3, camera.lookat);
  if (scene.track_body >= 0) std::copy_n(scene.data->xpos + 3 * scene.track_body, 2, camera.lookat);
  return camera;
}

mjvCamera NamedCamera(const mjModel& model, const std::string& name) {
  mjvCamera camera;
  mjv_defaultCamera(&camera);
  camera.type = mjCAMERA_FIXED;
  camera.fixedcamid = mj_name2id(&model, mjOBJ_CAMERA, name.c_str());
  if (camera.fixedcamid >= 0) return camera;
  std::string known;
  for (int i = 0; i < model.ncam; ++i) {
    const char* text = mj_id2name(&model, mjOBJ_CAMERA, i);
    if (text != nullptr && *text != 0) known += (known.empty() ? "" : ", ") + std::string(text);
  }
  throw UserError(
      {.what = fmt::format("the model has no camera '{}'", name),
       .expected = known.empty() ? "no name: the model has no cameras" : "one of " + known});
}

// OpenGL's first row is the lowest.
void FlipRows(std::span<uint8_t> rgb, int height) {
  const size_t row = rgb.size() / static_cast<size_t>(height);
  for (int y = 0; y < height / 2; ++y) {
    uint8_t* upper = rgb.data() + static_cast<size_t>(y) * row;
    std::swap_ranges(upper, upper + row, rgb.data() + static_cast<size_t>(height - 1 - y) * row);
  }
}
}  // namespace

struct Renderer::State {
  GlContext gl;
  // what was made for the current model; the signature tells a new model at an old address
  const mjModel* model = nullptr;
  uint64_t signature = 0;
  mjrContext context;
  mjvScene scene;

  State() {
    mjr_defaultContext(&context);
    mjv_defaultScene(&scene);
  }
  ~State() {
    const GlContext::Current current(gl);
    Free();
  }

  void Free() {
    mjr_freeContext(&context);
    mjv_freeScene(&scene);
    model = nullptr;
  }

  // The OpenGL objects of a model: meshes, textures, shadow map, framebuffer.
  void Use(const mjModel& wanted, const RenderOptions& options) {
    if (model == &wanted && signature == wanted.signature) return;
    Free();
    // a shallow copy with our own quality; MuJoCo only reads it, and only here
    mjModel with_quality = wanted;
    with_quality.vis.quality.shadowsize = options.shadow_size;
    with_quality.vis.quality.offsamples = options.samples;
    with_quality.vis.global.offwidth = options.width;
    with_quality.vis.global.offheight = options.height;
    mjr_makeContext(&with_quality, &context, mjFONTSCALE_100);
    mjr_setBuffer(mjFB_OFFSCREEN, &context);
    PAWL_CHECK_EQ(context.currentBuffer, int{mjFB_OFFSCREEN},
                  "OpenGL gives no offscreen framebuffer");
    mjv_makeScene(&wanted, &scene, kMaxGeoms);
    scene.flags[mjRND_SHADOW] = options.shadow_size > 0;
    model = &wanted;
    signature = wanted.signature;
  }
};

Renderer::Renderer(RenderOptions options) : options_(std::move(options)) {
  const bool fits = options_.width >= 1 && options_.height >= 1 && options_.width <= kMaxSize &&
                    options_.height <= kMaxSize;
  if (!fits) {
    throw UserError(
        {.what = fmt::format("a picture of {} x {} pixels", options_.width, options_.height),
         .expected = fmt::format("1 to {} a side", kMaxSize)});
  }
  InstallMujocoLog();
  state_ = std::make_unique<State>();
}

Renderer::~Renderer() = default;

void Renderer::Render(const MujocoScene& scene, std::span<uint8_t> rgb) {
  PAWL_CHECK_EQ(rgb.size(), size_bytes());
  PAWL_CHECK(scene.model != nullptr && scene.data != nullptr);
  mjvCamera camera =
      options_.camera.empty() ? FreeCamera(scene) : NamedCamera(*scene.model, options_.camera);
  mjvOption visible;
  mjv_defaultOption(&visible);
  const GlContext::Current current(state_->gl);
  state_->Use(*scene.model, options_);
  // MuJoCo takes the data as mutable for its stack memory, which it gives back; the state is only
  // read
  mjv_updateScene(scene.model, const_cast<mjData*>(scene.data), &visible, /*pert=*/nullptr, &camera,
                  mjCAT_ALL, &state_->scene);
  const mjrRect viewport = {0, 0, options_.width, options_.height};
  mjr_render(viewport, &state_->scene, &state_->context);
  mjr_readPixels(rgb.data(), /*depth=*/nullptr, viewport, &state_->context);
  FlipRows(rgb, options_.height);
}

}  // namespace pawl::envs
