#include "kernels/ppo_gradient.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/panel.h"

namespace pawl::kernels {

void PpoLossSums::Add(const PpoLossSums& other) {
  policy += other.policy;
  value += other.value;
  entropy += other.entropy;
  kl += other.kl;
  clipped += other.clipped;
  max_abs_log_ratio = std::max(max_abs_log_ratio, other.max_abs_log_ratio);
}

PpoGradient::PpoGradient(const MlpLayout& layout, Network network, bool policy)
    : shape_(layout.shape()),
      network_(std::move(network)),
      policy_(policy),
      input_(PanelSize(kChunkRows, shape_.obs)) {
  int widest = 0;
  for (const auto& layer : network_.hidden) {
    hidden_.emplace_back(PanelSize(kChunkRows, layer.out));
    transposed_.emplace_back(PanelSize(layer.out, layer.in));
    widest = std::max(widest, layer.out);
  }
  for (const auto& head : network_.heads) {
    output_.emplace_back(PanelSize(kChunkRows, head.out));
    head_transposed_.emplace_back(PanelSize(head.out, head.in));
  }
  delta_ = AlignedBuffer(PanelSize(kChunkRows, widest));
  next_delta_ = AlignedBuffer(PanelSize(kChunkRows, widest));
  if (!policy_) return;
  head_columns_ = action_columns_ = d_head_columns_ = d_log_std_columns_ =
      AlignedBuffer(size_t(shape_.act) * kBlockRows);
  if (shape_.head != PolicyHead::kCategorical) log_std_ = layout.Find("log_std").offset;
}

PpoLossSums PpoGradient::Run(const PpoMinibatch& mb, int begin, int end, const float* params,
                             float* grad) {
  PpoLossSums sums;
  if (begin == end) {
    ZeroGrad(grad);
    return sums;
  }
  TransposeWeights(params);
  // a value net has no log_std: any head without one will do
  const ActionDist dist(policy_ ? shape_.head : PolicyHead::kCategorical, shape_.act,
                        params + log_std_);
  std::fill_n(d_log_std_columns_.data(), d_log_std_columns_.size(), 0.0f);
  for (int row = begin; row < end; row += kChunkRows) {
    const int rows = std::min(kChunkRows, end - row);
    PanelGather(mb.batch.obs, mb.index + row, rows, shape_.obs, input_.data());
    const float* last =
        ForwardHidden(network_, shape_.activation, params, input_.data(), rows, hidden_);
    for (size_t h = 0; h < network_.heads.size(); ++h) {
      const DenseLayer& head = network_.heads[h];
      PanelDense(last, rows, head.in, params + head.weight, params + head.bias, head.out,
                 output_[h].data());
      if (policy_ && h == 0) {
        PolicyLoss(mb, dist, row, rows, output_[h].data(), sums);
      } else {
        ValueLoss(mb, row, rows, output_[h].data(), sums);
      }
    }
    Backward(rows, last, row > begin, grad);
  }
  StoreLogStdGrad(grad);
  return sums;
}

void PpoGradient::ZeroGrad(float* grad) {
  for (const auto* layers : {&network_.hidden, &network_.heads}) {
    for (const auto& layer : *layers) {
      std::fill_n(grad + layer.weight, PanelSize(layer.in, layer.out), 0.0f);
      std::fill_n(grad + layer.bias, RoundUpToPanel(layer.out), 0.0f);
    }
  }
  std::fill_n(d_log_std_columns_.data(), d_log_std_columns_.size(), 0.0f);
  StoreLogStdGrad(grad);
}

void PpoGradient::StoreLogStdGrad(float* grad) {
  if (!policy_ || shape_.head == PolicyHead::kCategorical) return;
  for (int a = 0; a < shape_.act; ++a) {
    float sum = 0;
    for (int i = 0; i < kBlockRows; ++i) sum += d_log_std_columns_.data()[a * kBlockRows + i];
    grad[log_std_ + a] = sum;
  }
}

void PpoGradient::TransposeWeights(const float* params) {
  for (size_t i = 1; i < network_.hidden.size(); ++i) {
    const auto& layer = network_.hidden[i];
    PanelTranspose(params + layer.weight, layer.in, layer.out, transposed_[i].data());
  }
  for (size_t h = 0; h < network_.heads.size(); ++h) {
    const auto& head = network_.heads[h];
    PanelTranspose(params + head.weight, head.in, head.out, head_transposed_[h].data());
  }
}

void PpoGradient::PolicyLoss(const PpoMinibatch& mb, const ActionDist& dist, int first, int rows,
                             float* output, PpoLossSums& sums) {
  const int act = shape_.act, stored = dist.stored_size();
  alignas(64) float old_log_prob[kBlockRows] = {}, advantage[kBlockRows] = {};
  PolicyLossArgs args{.head = head_columns_.data(),
                      .action = action_columns_.data(),
                      .old_log_prob = old_log_prob,
                      .advantage = advantage,
                      .mean = 1.0f / static_cast<float>(mb.rows),
                      .clip_range = mb.loss.clip_range,
                      .entropy_coef = mb.loss.entropy_coef,
                      .d_head = d_head_columns_.data(),
                      .d_log_std = d_log_std_columns_.data()};
  PolicyLossSums block;
  for (int row = 0; row < rows; row += kBlockRows) {
    args.rows = std::min(kBlockRows, rows - row);
    const int32_t* index = mb.index + first + row;
    RowsToColumns(mb.batch.action, index, args.rows, stored, action_columns_.data());
    for (int i = 0; i < args.rows; ++i) {
      old_log_prob[i] = mb.batch.log_prob[index[i]];
      advantage[i] = mb.advantage[first + row + i];
      for (int a = 0; a < act; ++a) {
        head_columns_.data()[a * kBlockRows + i] = output[PanelAt(rows, row + i, a)];
      }
    }
    BlockPolicyLoss(dist, args, block);
    for (int i = 0; i < args.rows; ++i) {
      for (int a = 0; a < act; ++a) {
        output[PanelAt(rows, row + i, a)] = d_head_columns_.data()[a * kBlockRows + i];
      }
    }
  }
  for (int i = 0; i < kBlockRows; ++i) {
    sums.Add({.policy = block.policy[i],
              .entropy = block.entropy[i],
              .kl = block.kl[i],
              .clipped = block.clipped[i],
              .max_abs_log_ratio = block.max_abs_log_ratio[i]});
  }
}

void PpoGradient::ValueLoss(const PpoMinibatch& mb, int first, int rows, float* output,
                            PpoLossSums& sums) {
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
    output[row * kPanel] = moves ? 2 * mb.loss.value_coef * mean * error : 0.0f;
  }
}

// output_ holds the heads' gradients.
void PpoGradient::Backward(int rows, const float* last, bool accumulate, float* grad) {
  for (size_t h = 0; h < network_.heads.size(); ++h) {
    const DenseLayer& head = network_.heads[h];
    PanelWeightGrad(last, rows, head.in, output_[h].data(), head.out, grad + head.weight,
                    grad + head.bias, accumulate);
    float* to = h == 0 ? delta_.data() : next_delta_.data();
    PanelDense(output_[h].data(), rows, head.out, head_transposed_[h].data(), nullptr, head.in, to);
    if (h > 0) AddInto(delta_.data(), to, PanelSize(rows, head.in));
  }
  for (int i = static_cast<int>(network_.hidden.size()) - 1; i >= 0; --i) {
    const DenseLayer& layer = network_.hidden[i];
    ApplyActivationGrad(shape_.activation, delta_.data(), hidden_[i].data(),
                        PanelSize(rows, layer.out));
    const float* x = i == 0 ? input_.data() : hidden_[i - 1].data();
    PanelWeightGrad(x, rows, layer.in, delta_.data(), layer.out, grad + layer.weight,
                    grad + layer.bias, accumulate);
    if (i == 0) break;
    PanelDense(delta_.data(), rows, layer.out, transposed_[i].data(), nullptr, layer.in,
               next_delta_.data());
    std::swap(delta_, next_delta_);
  }
}

}  // namespace pawl::kernels
