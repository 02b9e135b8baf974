#include "kernels/ppo_update.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/spin_pair.h"
#include "kernels/elementwise.h"
#include "kernels/panel.h"
#include "kernels/ppo_gradient.h"

namespace pawl::kernels {

// Separate nets: worker 0 has the policy, worker 1 the value net, all rows each. Shared: each has
// half of the rows and a gradient buffer of its own. The split does not depend on the number of
// threads, so neither do the bits.
struct PpoUpdate::Impl {
  Impl(const MlpLayout& layout, int max_rows, int threads)
      : layout(layout), pair(threads > 1), advantage(max_rows), grad(layout.size()) {
    auto networks = MakeNetworks(layout);
    if (layout.shape().shared) {
      workers.emplace_back(layout, networks[0], true);
      workers.emplace_back(layout, networks[0], true);
      second_grad = AlignedBuffer(layout.size());
      split = layout.size() / 2 / kPanel * kPanel;
    } else {
      workers.emplace_back(layout, networks[0], true);
      workers.emplace_back(layout, networks[1], false);
      split = layout.policy_size();
    }
  }

  size_t Begin(int who) const { return who == 0 ? 0 : split; }
  size_t Count(int who) const { return who == 0 ? split : layout.size() - split; }

  void NormalizeAdvantage(const PpoBatchView& batch, const int32_t* index, int rows,
                          bool normalize) {
    for (int i = 0; i < rows; ++i) advantage[i] = batch.advantage[index[i]];
    if (!normalize || rows < 2) return;
    double sum = 0, squares = 0;
    for (int i = 0; i < rows; ++i) sum += advantage[i];
    const double mean = sum / rows;
    for (int i = 0; i < rows; ++i) squares += (advantage[i] - mean) * (advantage[i] - mean);
    const double scale = 1 / (std::sqrt(squares / (rows - 1)) + 1e-8);
    for (int i = 0; i < rows; ++i) advantage[i] = static_cast<float>((advantage[i] - mean) * scale);
  }

  // Leaves the gradient in `grad` and its sum of squares in `squares`.
  PpoStats Gradient(const PpoBatchView& batch, const int32_t* index, int rows,
                    const PpoLossSettings& loss, const float* params) {
    PAWL_CHECK(rows >= 1 && rows <= static_cast<int>(advantage.size()),
               "{} rows, at most {} were announced", rows, advantage.size());
    CheckAligned(params, "params");
    NormalizeAdvantage(batch, index, rows, loss.normalize_advantage);
    const PpoMinibatch mb{batch, index, rows, advantage.data(), loss};
    const bool shared = layout.shape().shared;
    const int half = (rows + 1) / 2;
    pair.Run([&](int who) {
      const int begin = shared && who == 1 ? half : 0, end = shared && who == 0 ? half : rows;
      float* to = shared && who == 1 ? second_grad.data() : grad.data();
      sums[who] = workers[who].Run(mb, begin, end, params, to);
      if (!shared) squares[who] = SumOfSquares(to + Begin(who), Count(who));
    });
    if (shared) {
      pair.Run([&](int who) {
        float* to = grad.data() + Begin(who);
        const float* from = second_grad.data() + Begin(who);
        AddInto(to, from, Count(who));
        squares[who] = SumOfSquares(to, Count(who));
      });
    }
    PpoLossSums total = sums[0];
    total.Add(sums[1]);
    PpoStats stats{.policy_loss = static_cast<float>(total.policy / rows),
                   .value_loss = static_cast<float>(total.value / rows),
                   .entropy = static_cast<float>(total.entropy / rows),
                   .approx_kl = static_cast<float>(total.kl / rows),
                   .clip_fraction = static_cast<float>(total.clipped / rows),
                   .grad_norm = std::sqrt(squares[0] + squares[1]),
                   .max_abs_log_ratio = total.max_abs_log_ratio};
    stats.finite = std::isfinite(stats.policy_loss) && std::isfinite(stats.value_loss) &&
                   std::isfinite(stats.entropy) && std::isfinite(stats.grad_norm) &&
                   !std::isnan(stats.approx_kl);
    return stats;
  }

  const MlpLayout& layout;
  core::SpinPair pair;
  std::vector<PpoGradient> workers;
  std::vector<float> advantage;
  AlignedBuffer grad, second_grad;
  size_t split = 0;
  PpoLossSums sums[2];
  float squares[2] = {};
};

PpoUpdate::PpoUpdate(const MlpLayout& layout, int max_rows, int threads)
    : impl_(std::make_unique<Impl>(layout, max_rows, threads)) {}
PpoUpdate::~PpoUpdate() = default;

PpoStats PpoUpdate::Step(const PpoBatchView& batch, const int32_t* index, int rows,
                         const PpoLossSettings& loss, const AdamSettings& adam, int64_t adam_step,
                         float* params, float* m, float* v) {
  for (const float* buffer : {params, m, v}) CheckAligned(buffer, "params and Adam state");
  PAWL_CHECK(std::isfinite(adam.learning_rate) && adam.epsilon > 0 && adam_step >= 1,
             "learning rate {}, epsilon {}, step {}", adam.learning_rate, adam.epsilon, adam_step);
  PpoStats stats = impl_->Gradient(batch, index, rows, loss, params);
  if (!stats.finite) return stats;
  if (loss.target_kl > 0 && stats.approx_kl > 1.5f * loss.target_kl) {
    stats.stopped = true;
    return stats;
  }
  const bool clip = loss.max_grad_norm > 0 && stats.grad_norm > loss.max_grad_norm;
  const double t = static_cast<double>(adam_step);
  const double bias1 = 1 - std::pow(double(adam.beta1), t);
  const double bias2 = 1 - std::pow(double(adam.beta2), t);
  const AdamStepArgs args{.beta1 = adam.beta1,
                          .beta2 = adam.beta2,
                          .epsilon = adam.epsilon,
                          .scale = clip ? loss.max_grad_norm / (stats.grad_norm + 1e-6f) : 1.0f,
                          .step_size = static_cast<float>(adam.learning_rate / bias1),
                          .correction = static_cast<float>(1 / std::sqrt(bias2))};
  impl_->pair.Run([&](int who) {
    const size_t at = impl_->Begin(who);
    AdamStep(args, impl_->grad.data() + at, m + at, v + at, params + at, impl_->Count(who));
  });
  return stats;
}

PpoStats PpoUpdate::Gradient(const PpoBatchView& batch, const int32_t* index, int rows,
                             const PpoLossSettings& loss, const float* params, float* grad) {
  PpoStats stats = impl_->Gradient(batch, index, rows, loss, params);
  std::copy_n(impl_->grad.data(), impl_->layout.size(), grad);
  return stats;
}

}  // namespace pawl::kernels
