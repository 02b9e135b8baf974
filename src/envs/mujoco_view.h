// How rendering sees a MuJoCo environment: one method, found by dynamic_cast on envs::Env.
#pragma once
#include <mujoco/mujoco.h>

namespace pawl::envs {

struct MujocoScene {
  const mjModel* model = nullptr;
  const mjData* data = nullptr;
  // A good view of the task: degrees and metres; used unless the user names a camera.
  double azimuth = 120, elevation = -20, distance = 3;
  double lookat[3] = {0, 0, 0};
  int track_body = -1;  // >= 0: lookat follows this body's x and y
};

class MujocoView {
 public:
  virtual ~MujocoView() = default;
  virtual MujocoScene Scene() const = 0;
};

}  // namespace pawl::envs
