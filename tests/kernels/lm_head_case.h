// A language-model head with a loss, and its definition in double, for the tests of the head.
#pragma once
#include <bit>
#include <cmath>
#include <vector>

#include "kernels/lm_head.h"
#include "rows.h"

namespace pawl::kernels {

struct HeadOptions {
  bool bias = false, half = false;  // half: weights are bfloat16
  float soft_cap = 0, inverse_temperature = 1;
  double scale = 1;  // of the weights
};

struct HeadCase {
  HeadCase(HeadOptions o, int64_t rows, int64_t vocab, int64_t width)
      : o(o),
        x(Rows::Random(rows, width, 1)),
        weight(Rows::Random(vocab, width, 2, o.scale / std::sqrt(double(width)), 2)),
        bias(RandomVector(vocab, 3)),
        log_prob(rows),
        entropy(rows),
        // derivatives of the loss: of both, one, or none of log_prob and entropy
        dlog_prob(RandomVector(rows, 4)),
        dentropy(RandomVector(rows, 5)),
        dx(rows, width, 4),
        dweight(Rows::Random(vocab, width, 6, 1, 0)),
        dbias(RandomVector(vocab, 7)) {
    for (int64_t r = 0; r < rows; ++r) {
      targets.push_back(static_cast<int32_t>(r == 0 ? 0 : r == 1 ? vocab - 1 : r * 7 % vocab));
      if (r % 4 == 2) dentropy[r] = 0;
      if (r % 5 == 3) dlog_prob[r] = 0;
    }
    if (rows > 4) dlog_prob[4] = dentropy[4] = 0;
    if (!o.half) return;
    for (int64_t v = 0; v < vocab; ++v) {
      for (int64_t i = 0; i < width; ++i) {
        const uint32_t bits = std::bit_cast<uint32_t>(weight(v, i)) & 0xffff0000u;
        weight(v, i) = std::bit_cast<float>(bits);
      }
    }
    for (int64_t i = 0; i < vocab * weight.stride(); ++i) {
      half.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(weight.data()[i]) >> 16));
    }
  }

  LmHeadArgs Args() {
    LmHeadArgs args{.rows = x.rows(),
                    .width = x.width(),
                    .vocab = weight.rows(),
                    .x = x.data(),
                    .x_stride = x.stride(),
                    .weight = {.f32 = weight.data(), .stride = weight.stride()},
                    .bias = o.bias ? bias.data() : nullptr,
                    .targets = targets,
                    .inverse_temperature = o.inverse_temperature,
                    .soft_cap = o.soft_cap,
                    .log_prob = log_prob.data(),
                    .entropy = entropy.data(),
                    .loss = &loss,
                    .dx = dx.data(),
                    .dx_stride = dx.stride(),
                    .dweight = dweight.data(),
                    .dbias = dbias.data()};
    if (o.half) args.weight = {.bf16 = half.data(), .stride = weight.stride()};
    return args;
  }

  // log_prob and entropy of a row from its logits.
  std::pair<double, double> Definition(int64_t row, std::vector<double> z) const {
    double largest = -INFINITY, sum = 0, entropy = 0;
    for (double& v : z) {
      if (o.soft_cap > 0) v = o.soft_cap * std::tanh(v / o.soft_cap);
      v *= o.inverse_temperature;
      largest = std::max(largest, v);
    }
    for (double v : z) sum += std::exp(v - largest);
    const double log_sum = largest + std::log(sum);
    for (double v : z) {
      if (std::exp(v - log_sum) > 0) entropy -= std::exp(v - log_sum) * (v - log_sum);
    }
    return {z[targets[row]] - log_sum, entropy};
  }
  std::vector<double> Logits(int64_t row) const {
    std::vector<double> z(weight.rows());
    for (int64_t v = 0; v < weight.rows(); ++v) {
      z[v] = o.bias ? bias[v] : 0;
      for (int64_t i = 0; i < x.width(); ++i) z[v] += double(x(row, i)) * weight(v, i);
    }
    return z;
  }
  // Derivative of the loss by one logit of a row.
  double DLogit(int64_t row, const std::vector<double>& z, int64_t v) const {
    return Slope(
        [&](double value) {
          std::vector<double> changed = z;
          changed[v] = value;
          const auto [log_prob, entropy] = Definition(row, changed);
          return dlog_prob[row] * log_prob + dentropy[row] * entropy;
        },
        z[v]);
  }

  HeadOptions o;
  Rows x, weight;
  std::vector<float> bias;
  std::vector<uint16_t> half;
  std::vector<int32_t> targets;
  std::vector<float> log_prob, entropy, dlog_prob, dentropy;
  Rows dx, dweight;
  std::vector<float> dbias;
  TokenLoss loss = [this](int64_t first, std::span<const float>, std::span<const float>,
                          std::span<float> dlog, std::span<float> dent) {
    std::copy_n(dlog_prob.begin() + first, dlog.size(), dlog.begin());
    std::copy_n(dentropy.begin() + first, dent.size(), dent.begin());
  };
};

}  // namespace pawl::kernels
