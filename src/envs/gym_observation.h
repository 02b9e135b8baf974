// The observation that the walking tasks of Gymnasium v5 share: positions without the leading ones,
// velocities, and for some of them what MuJoCo computed on the way (inertias, velocities and forces
// of bodies). Immutable after construction.
#pragma once
#include <limits>
#include <span>
#include <vector>

#include "envs/mujoco_env.h"

namespace pawl::envs {

ObservationPart VectorPart(const char* name, int size, const char* unit,
                           PartRole role = PartRole::kPolicy);
// Of an action or of forces, added in order.
double SumOfSquares(std::span<const double> values);

struct ObservationLayout {
  int skipped_qpos = 0;                                             // leading positions left out
  double velocity_limit = std::numeric_limits<double>::infinity();  // |qvel| is clipped to it
  bool cinert = false, cvel = false, qfrc_actuator = false, cfrc_ext = false;
  // cfrc_ext is clipped to it
  Interval force_range = {-std::numeric_limits<double>::infinity(),
                          std::numeric_limits<double>::infinity()};
};

// The named parts in the order in which WriteObservation writes them.
std::vector<ObservationPart> ObservationParts(const ObservationLayout& layout,
                                              const mjModel& model);
// observation: [sum of the parts' sizes].
void WriteObservation(const ObservationLayout& layout, const mjModel& model, const mjData& data,
                      std::span<double> observation);

}  // namespace pawl::envs
