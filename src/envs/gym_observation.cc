#include "envs/gym_observation.h"

#include <algorithm>

namespace pawl::envs {

ObservationPart VectorPart(const char* name, int size, const char* unit, PartRole role) {
  return {.name = name, .size = size, .unit = unit, .role = role, .shape = {size}};
}

double SumOfSquares(std::span<const double> values) {
  double sum = 0;
  for (double value : values) sum += value * value;
  return sum;
}

std::vector<ObservationPart> ObservationParts(const ObservationLayout& layout,
                                              const mjModel& model) {
  const int nq = static_cast<int>(model.nq), nv = static_cast<int>(model.nv);
  const int bodies = static_cast<int>(model.nbody) - 1;  // the world is left out
  std::vector<ObservationPart> parts = {VectorPart("qpos", nq - layout.skipped_qpos, "m, rad"),
                                        VectorPart("qvel", nv, "m/s, rad/s")};
  if (layout.cinert) parts.push_back(VectorPart("cinert", 10 * bodies, "kg m^2, kg m, kg"));
  if (layout.cvel) parts.push_back(VectorPart("cvel", 6 * bodies, "rad/s, m/s"));
  if (layout.qfrc_actuator) parts.push_back(VectorPart("qfrc_actuator", nv - 6, "N m"));
  if (layout.cfrc_ext) parts.push_back(VectorPart("cfrc_ext", 6 * bodies, "N m, N"));
  return parts;
}

void WriteObservation(const ObservationLayout& layout, const mjModel& model, const mjData& data,
                      std::span<double> observation) {
  const int bodies = static_cast<int>(model.nbody) - 1;
  double* out = observation.data();
  out = std::copy(data.qpos + layout.skipped_qpos, data.qpos + model.nq, out);
  const double limit = layout.velocity_limit;
  for (int i = 0; i < model.nv; ++i) *out++ = std::clamp(data.qvel[i], -limit, limit);
  if (layout.cinert) out = std::copy_n(data.cinert + 10, 10 * bodies, out);
  if (layout.cvel) out = std::copy_n(data.cvel + 6, 6 * bodies, out);
  if (layout.qfrc_actuator) out = std::copy_n(data.qfrc_actuator + 6, model.nv - 6, out);
  if (layout.cfrc_ext) {
    const auto [low, high] = layout.force_range;
    for (int i = 6; i < 6 * (bodies + 1); ++i) *out++ = std::clamp(data.cfrc_ext[i], low, high);
  }
}

}  // namespace pawl::envs
