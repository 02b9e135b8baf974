#include "rollout_testing.h"

#include <algorithm>
#include <cmath>

#include "core/rng.h"
#include "nn/policy_config.h"
#include "nn/policy_runner.h"

namespace pawl::algos {

rollout::TrajectoryBatch TestRollout::View() const {
  return {.time = time,
          .batch = batch,
          .obs = obs,
          .act = act,
          .observation = observation.data(),
          .action = action.data(),
          .log_prob = log_prob.data(),
          .value = value.data(),
          .reward = reward.data(),
          .terminated = terminated.data(),
          .truncated = truncated.data(),
          .final_observation = final_observation.data(),
          .final_value = final_value.data(),
          .last_observation = last_observation.data(),
          .last_value = last_value.data()};
}

TestRollout MakeTestRollout(const kernels::MlpShape& shape, std::span<const float> weights,
                            int time, int batch, uint64_t seed, const RowReward& row_reward) {
  core::Philox rng(seed, core::Role::kTest, 0, 0);
  const bool categorical = shape.head == kernels::PolicyHead::kCategorical;
  const size_t n = size_t(time) * batch, o = shape.obs, a = categorical ? 1 : shape.act;
  TestRollout r{.time = time, .batch = batch, .obs = shape.obs, .act = static_cast<int>(a)};
  auto normals = [&](size_t count) {
    std::vector<float> x(count);
    for (float& v : x) v = static_cast<float>(rng.Normal());
    return x;
  };
  r.observation = normals(n * o);
  r.final_observation = normals(n * o);
  r.last_observation = normals(batch * o);
  r.action.resize(n * a);
  r.log_prob.resize(n);
  r.value.resize(n);
  r.reward = normals(n);
  r.terminated.resize(n);
  r.truncated.resize(n);
  r.final_value.resize(n);
  r.last_value.resize(batch);
  // one environment at a time, as a block of one: the learner sees other batch sizes
  nn::PolicyRunner runner(shape, 1);
  std::vector<float> head(shape.act), noise(shape.act);
  for (size_t row = 0; row < n; ++row) {
    runner.Forward(weights, &r.observation[row * o], 1, head.data(), &r.value[row]);
    nn::FillActionNoise(shape.head, rng, noise);
    kernels::SampleActions(shape.head, shape.act, head.data(), runner.LogStd(weights), noise.data(),
                           1, &r.action[row * a], &r.log_prob[row]);
    if (row_reward) r.reward[row] = row_reward(&r.observation[row * o], &r.action[row * a]);
    const bool ends = rng.Below(10) == 0;
    r.truncated[row] = ends && rng.Below(2) == 0;
    r.terminated[row] = ends && !r.truncated[row];
    if (r.truncated[row]) {
      runner.Forward(weights, &r.final_observation[row * o], 1, head.data(), &r.final_value[row]);
    }
  }
  for (int env = 0; env < batch; ++env) {
    runner.Forward(weights, &r.last_observation[env * o], 1, head.data(), &r.last_value[env]);
  }
  return r;
}

kernels::AlignedBuffer RandomWeights(const kernels::MlpShape& shape, uint64_t seed) {
  core::ArrayMap arrays;
  core::Philox rng(seed, core::Role::kTest, 1, 0);
  const kernels::MlpLayout layout(shape);
  for (const auto& p : layout.parameters()) {
    std::vector<float> dense(size_t(p.out) * std::max(p.in, 1));
    // weights of unit gain; biases and log_std small
    const double scale = p.in > 0 ? 1 / std::sqrt(double(p.in)) : 0.2;
    for (float& x : dense) x = static_cast<float>(scale * rng.Normal());
    arrays.Put<float>(p.name, dense,
                      p.in == 0 ? std::vector<int64_t>{p.out} : std::vector<int64_t>{p.out, p.in});
  }
  kernels::AlignedBuffer flat(nn::FlatWeightsSize(shape));
  nn::NamedToFlat(shape, arrays, flat.span());
  return flat;
}

double MaxDifference(std::span<const float> a, std::span<const float> b) {
  double worst = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = std::fabs(double(a[i]) - b[i]);
    if (!(difference <= worst)) worst = difference;  // NaN counts
  }
  return worst;
}

}  // namespace pawl::algos
