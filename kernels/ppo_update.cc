#include "kernels/ppo_update.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/spin_pair.h"
#include "kernels/action_dist.h"
#include "kernels/network.h"
#include "kernels/panel.h"

namespace pawl::kernels {
namespace {
constexpr int kChunk = 64;  // rows taken through forward and backward at a time: activations stay in the first-level cache

// Sums over rows; means are taken at the end.
struct LossSums {
  double policy = 0, value = 0, entropy = 0, kl = 0, clipped = 0;
  float max_abs_log_ratio = 0;
  void Add(const LossSums& other) {
    policy += other.policy;
    value += other.value;
    entropy += other.entropy;
    kl += other.kl;
    clipped += other.clipped;
    max_abs_log_ratio = std::max(max_abs_log_ratio, other.max_abs_log_ratio);
  }
};

// The minibatch as both halves see it.
struct Minibatch {
  const PpoBatchView& batch;
  const int32_t* index;
  int rows;
  const float* advantage;  // [rows] normalised, in minibatch order
  const PpoLossSettings& loss;
};

float At(const float* panels, int row, int column) { return panels[row * kPanel + column % kPanel]; }

// One thread's share of a gradient: a network over some rows of the minibatch.
class Worker {
 public:
  Worker(const MlpLayout& layout, Network network, bool policy, bool value)
      : shape_(layout.shape()),
        network_(std::move(network)),
        policy_(policy),
        value_(value),
        input_(PanelSize(kChunk, shape_.obs)) {
    if (policy && shape_.head != PolicyHead::kCategorical) log_std_ = layout.Find("log_std").offset;
    int widest = 0;
    for (const auto& layer : network_.hidden) {
      hidden_.emplace_back(PanelSize(kChunk, layer.out));
      transposed_.emplace_back(PanelSize(layer.out, layer.in));
      widest = std::max(widest, layer.out);
    }
    for (const auto& head : network_.heads) {
      output_.emplace_back(PanelSize(kChunk, head.out));
      head_transposed_.emplace_back(PanelSize(head.out, head.in));
    }
    delta_ = AlignedBuffer(PanelSize(kChunk, widest));
    next_delta_ = AlignedBuffer(PanelSize(kChunk, widest));
    row_.resize(2 * std::max(shape_.act, 1));
  }

  // Gradient of rows [begin, end) of the minibatch into this network's part of `grad` (overwritten).
  LossSums Gradient(const Minibatch& mb, int begin, int end, const float* params, float* grad) {
    LossSums sums;
    ZeroGrad(grad, begin == end);
    TransposeWeights(params);
    const ActionDist dist(shape_.head, shape_.act, params + log_std_);
    for (int row = begin; row < end; row += kChunk) {
      const int rows = std::min(kChunk, end - row);
      Gather(mb, row, rows);
      const float* last = ForwardHidden(network_, shape_.activation, params, input_.data(), rows, hidden_);
      for (size_t h = 0; h < network_.heads.size(); ++h) {
        const DenseLayer& head = network_.heads[h];
        PanelDense(last, rows, head.in, params + head.weight, params + head.bias, head.out, output_[h].data());
        if (policy_ && h == 0) {
          PolicyLoss(mb, dist, row, rows, output_[h].data(), grad, sums);
        } else {
          ValueLoss(mb, row, rows, output_[h].data(), sums);
        }
      }
      Backward(rows, last, row > begin, grad);
    }
    return sums;
  }

 private:
  void ZeroGrad(float* grad, bool all) {
    if (policy_ && shape_.head != PolicyHead::kCategorical) std::fill_n(grad + log_std_, RoundUpToPanel(shape_.act), 0.0f);
    if (!all) return;
    for (const auto* layers : {&network_.hidden, &network_.heads}) {
      for (const auto& layer : *layers) {
        std::fill_n(grad + layer.weight, PanelSize(layer.in, layer.out), 0.0f);
        std::fill_n(grad + layer.bias, RoundUpToPanel(layer.out), 0.0f);
      }
    }
  }

  void TransposeWeights(const float* params) {
    for (size_t i = 1; i < network_.hidden.size(); ++i) {
      const auto& layer = network_.hidden[i];
      PanelTranspose(params + layer.weight, layer.in, layer.out, transposed_[i].data());
    }
    for (size_t h = 0; h < network_.heads.size(); ++h) {
      const auto& head = network_.heads[h];
      PanelTranspose(params + head.weight, head.in, head.out, head_transposed_[h].data());
    }
  }

  void Gather(const Minibatch& mb, int first, int rows) {
    const int obs = shape_.obs;
    for (int c0 = 0; c0 < obs; c0 += kPanel) {
      const int width = std::min(kPanel, obs - c0);
      float* to = input_.data() + size_t(c0) * rows;
      for (int row = 0; row < rows; ++row, to += kPanel) {
        std::copy_n(mb.batch.obs + size_t(mb.index[first + row]) * obs + c0, width, to);
        std::fill(to + width, to + kPanel, 0.0f);
      }
    }
  }

  // Clipped surrogate and entropy of `rows` rows: output (mean or logits) becomes its gradient.
  void PolicyLoss(const Minibatch& mb, const ActionDist& dist, int first, int rows, float* output, float* grad,
                  LossSums& sums) {
    const PpoLossSettings& loss = mb.loss;
    const int act = shape_.act, stored = dist.stored_size();
    const float mean = 1.0f / static_cast<float>(mb.rows);
    const bool squashed = shape_.head == PolicyHead::kSquashedGaussian;
    float* const head = row_.data();
    float* const d_head = row_.data() + act;
    float* const d_log_std = grad + log_std_;
    for (int row = 0; row < rows; ++row) {
      const int32_t i = mb.index[first + row];
      const float* action = mb.batch.action + size_t(i) * stored;
      for (int a = 0; a < act; ++a) head[a] = At(output + size_t(a / kPanel * kPanel) * rows, row, a);
      const float log_prob = dist.LogProb(head, action);
      const float log_ratio = log_prob - mb.batch.log_prob[i];
      const float ratio = std::exp(log_ratio), advantage = mb.advantage[first + row];
      const float plain = ratio * advantage;
      const float clipped = std::clamp(ratio, 1 - loss.clip_range, 1 + loss.clip_range) * advantage;
      sums.policy -= std::min(plain, clipped);
      sums.kl += (ratio - 1) - log_ratio;
      sums.clipped += std::fabs(ratio - 1) > loss.clip_range;
      // a NaN must not hide behind the comparison of std::max
      sums.max_abs_log_ratio = std::fabs(log_ratio) <= sums.max_abs_log_ratio ? sums.max_abs_log_ratio : std::fabs(log_ratio);
      float d_log_prob = plain <= clipped ? -mean * plain : 0.0f;
      if (squashed) {
        sums.entropy -= log_prob;
        d_log_prob += loss.entropy_coef * mean;
      } else {
        sums.entropy += dist.Entropy(head);
      }
      dist.AddLogProbGrad(head, action, d_log_prob, d_head, d_log_std);
      dist.AddEntropyGrad(head, -loss.entropy_coef * mean, d_head);
      for (int a = 0; a < RoundUpToPanel(act); ++a) {
        output[size_t(a / kPanel * kPanel) * rows + row * kPanel + a % kPanel] = a < act ? d_head[a] : 0.0f;
      }
    }
    if (shape_.head == PolicyHead::kGaussian) {
      // entropy = sum log_std + const, the same for every row
      for (int a = 0; a < act; ++a) d_log_std[a] -= loss.entropy_coef * mean * static_cast<float>(rows);
    }
  }

  void ValueLoss(const Minibatch& mb, int first, int rows, float* output, LossSums& sums) {
    const float mean = 1.0f / static_cast<float>(mb.rows), clip = mb.loss.clip_range_value;
    for (int row = 0; row < rows; ++row) {
      const int32_t i = mb.index[first + row];
      float value = output[row * kPanel];
      bool moves = true;
      if (clip > 0) {
        const float change = value - mb.batch.value[i];
        moves = std::fabs(change) <= clip;
        if (!moves) value = mb.batch.value[i] + std::clamp(change, -clip, clip);
      }
      const float error = value - mb.batch.returns[i];
      sums.value += double(error) * error;
      std::fill_n(output + row * kPanel, kPanel, 0.0f);
      if (moves) output[row * kPanel] = 2 * mb.loss.value_coef * mean * error;
    }
  }

  // output_ holds the heads' gradients; adds every weight's gradient.
  void Backward(int rows, const float* last, bool accumulate, float* grad) {
    for (size_t h = 0; h < network_.heads.size(); ++h) {
      const DenseLayer& head = network_.heads[h];
      PanelWeightGrad(last, rows, head.in, output_[h].data(), head.out, grad + head.weight, grad + head.bias, accumulate);
      float* to = h == 0 ? delta_.data() : next_delta_.data();
      PanelDense(output_[h].data(), rows, head.out, head_transposed_[h].data(), nullptr, head.in, to);
      if (h > 0) {
        const size_t count = PanelSize(rows, head.in);
        for (size_t i = 0; i < count; ++i) delta_.data()[i] += to[i];
      }
    }
    for (int i = static_cast<int>(network_.hidden.size()) - 1; i >= 0; --i) {
      const DenseLayer& layer = network_.hidden[i];
      PanelActivateGrad(shape_.activation, delta_.data(), hidden_[i].data(), PanelSize(rows, layer.out));
      const float* x = i == 0 ? input_.data() : hidden_[i - 1].data();
      PanelWeightGrad(x, rows, layer.in, delta_.data(), layer.out, grad + layer.weight, grad + layer.bias, accumulate);
      if (i == 0) break;
      PanelDense(delta_.data(), rows, layer.out, transposed_[i].data(), nullptr, layer.in, next_delta_.data());
      std::swap(delta_, next_delta_);
    }
  }

  const MlpShape shape_;
  const Network network_;
  const bool policy_, value_;
  size_t log_std_ = 0;
  AlignedBuffer input_, delta_, next_delta_;
  std::vector<AlignedBuffer> hidden_, transposed_, output_, head_transposed_;
  std::vector<float> row_;  // one row's head and its gradient
};
}  // namespace

// Separate nets: worker 0 has the policy, worker 1 the value net, all rows each. Shared: each has half of the rows and a
// gradient buffer of its own. The split does not depend on the number of threads, so neither do the bits.
struct PpoUpdate::Impl {
  Impl(const MlpLayout& layout, int max_rows, int threads)
      : layout(layout), pair(threads > 1), advantage(max_rows), grad(layout.size()) {
    auto networks = MakeNetworks(layout);
    if (layout.shape().shared) {
      workers.emplace_back(layout, networks[0], true, true);
      workers.emplace_back(layout, networks[0], true, true);
      second_grad = AlignedBuffer(layout.size());
      split = layout.size() / 2 / kPanel * kPanel;
    } else {
      workers.emplace_back(layout, networks[0], true, false);
      workers.emplace_back(layout, networks[1], false, true);
      split = layout.policy_size();
    }
  }

  size_t Begin(int who) const { return who == 0 ? 0 : split; }
  size_t Count(int who) const { return who == 0 ? split : layout.size() - split; }

  void NormalizeAdvantage(const PpoBatchView& batch, const int32_t* index, int rows, bool normalize) {
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
  PpoStats Gradient(const PpoBatchView& batch, const int32_t* index, int rows, const PpoLossSettings& loss,
                    const float* params) {
    NormalizeAdvantage(batch, index, rows, loss.normalize_advantage);
    const Minibatch mb{batch, index, rows, advantage.data(), loss};
    const bool shared = layout.shape().shared;
    const int half = (rows + 1) / 2;
    pair.Run([&](int who) {
      const int begin = shared && who == 1 ? half : 0, end = shared && who == 0 ? half : rows;
      float* to = shared && who == 1 ? second_grad.data() : grad.data();
      sums[who] = workers[who].Gradient(mb, begin, end, params, to);
      if (!shared) squares[who] = SumSquares(to + Begin(who), Count(who));
    });
    if (shared) {
      pair.Run([&](int who) {
        float* to = grad.data() + Begin(who);
        const float* from = second_grad.data() + Begin(who);
        for (size_t i = 0; i < Count(who); ++i) to[i] += from[i];
        squares[who] = SumSquares(to, Count(who));
      });
    }
    LossSums total = sums[0];
    total.Add(sums[1]);
    PpoStats stats{.policy_loss = static_cast<float>(total.policy / rows),
                   .value_loss = static_cast<float>(total.value / rows),
                   .entropy = static_cast<float>(total.entropy / rows),
                   .approx_kl = static_cast<float>(total.kl / rows),
                   .clip_fraction = static_cast<float>(total.clipped / rows),
                   .grad_norm = std::sqrt(squares[0] + squares[1]),
                   .max_abs_log_ratio = total.max_abs_log_ratio};
    stats.finite = std::isfinite(stats.policy_loss) && std::isfinite(stats.value_loss) &&
                   std::isfinite(stats.entropy) && std::isfinite(stats.grad_norm);
    return stats;
  }

  const MlpLayout& layout;
  core::SpinPair pair;
  std::vector<Worker> workers;
  std::vector<float> advantage;
  AlignedBuffer grad, second_grad;
  size_t split = 0;
  LossSums sums[2];
  float squares[2] = {};
};

PpoUpdate::PpoUpdate(const MlpLayout& layout, int max_rows, int threads)
    : impl_(std::make_unique<Impl>(layout, max_rows, threads)) {}
PpoUpdate::~PpoUpdate() = default;

PpoStats PpoUpdate::Step(const PpoBatchView& batch, const int32_t* index, int rows, const PpoLossSettings& loss,
                         const AdamSettings& adam, int64_t adam_step, float* params, float* m, float* v) {
  PAWL_CHECK(rows >= 1 && rows <= static_cast<int>(impl_->advantage.size()), "{} rows", rows);
  PpoStats stats = impl_->Gradient(batch, index, rows, loss, params);
  if (!stats.finite) return stats;
  if (loss.target_kl > 0 && stats.approx_kl > 1.5f * loss.target_kl) {
    stats.stopped = true;
    return stats;
  }
  const bool clip = loss.max_grad_norm > 0 && stats.grad_norm > loss.max_grad_norm;
  const double t = static_cast<double>(adam_step);
  const AdamStepArgs args{.learning_rate = adam.learning_rate,
                          .beta1 = adam.beta1,
                          .beta2 = adam.beta2,
                          .epsilon = adam.epsilon,
                          .scale = clip ? loss.max_grad_norm / (stats.grad_norm + 1e-6f) : 1.0f,
                          .bias1 = static_cast<float>(1 - std::pow(double(adam.beta1), t)),
                          .bias2 = static_cast<float>(1 - std::pow(double(adam.beta2), t))};
  impl_->pair.Run([&](int who) {
    const size_t at = impl_->Begin(who);
    AdamStep(args, impl_->grad.data() + at, m + at, v + at, params + at, impl_->Count(who));
  });
  return stats;
}

PpoStats PpoUpdate::Gradient(const PpoBatchView& batch, const int32_t* index, int rows, const PpoLossSettings& loss,
                             const float* params, float* grad) {
  PpoStats stats = impl_->Gradient(batch, index, rows, loss, params);
  std::copy_n(impl_->grad.data(), impl_->layout.size(), grad);
  return stats;
}

}  // namespace pawl::kernels
