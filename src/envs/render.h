// Pictures of a MuJoCo environment, drawn offscreen by MuJoCo's OpenGL renderer; no display is
// needed. Used for videos of a policy and for image observations; a worker has its own Renderer.
// Rendering never changes the simulation.
//
//   Renderer renderer({.width = 480, .height = 360});
//   std::vector<uint8_t> rgb(renderer.size_bytes());
//   renderer.Render(dynamic_cast<MujocoView&>(env).Scene(), rgb);
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "envs/mujoco_view.h"

namespace pawl::envs {

struct RenderOptions {
  int width = 480, height = 360;  // pixels
  std::string camera;             // a camera of the model; "" = the view that the environment gives
  int samples = 4;                // per pixel against jagged edges; 0 = off, faster
  int shadow_size = 1024;  // shadow map, pixels a side; 0 = no shadows, much faster without a GPU
};

class Renderer {
 public:
  // Throws RunError in one line where there is no OpenGL, UserError for a size out of range.
  explicit Renderer(RenderOptions options);
  ~Renderer();
  Renderer(const Renderer&) = delete;
  Renderer& operator=(const Renderer&) = delete;

  // Draws the scene's current state. rgb: [height, width, 3], top row first. Meshes and textures
  // are uploaded when the model is a new one; what changes in a model's colours, sizes and
  // positions is seen in every picture. Throws UserError when the model has no such camera. Must be
  // called by the thread that steps the scene's data.
  void Render(const MujocoScene& scene, std::span<uint8_t> rgb);

  const RenderOptions& options() const { return options_; }
  size_t size_bytes() const {
    return size_t{3} * static_cast<size_t>(options_.width) * static_cast<size_t>(options_.height);
  }

 private:
  struct State;
  RenderOptions options_;
  std::unique_ptr<State> state_;
};

}  // namespace pawl::envs
