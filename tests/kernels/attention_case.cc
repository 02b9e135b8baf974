#include "attention_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/rng.h"

namespace pawl::kernels {

AttentionSpec MakeSpec(int kv_heads, int group, int head_dim, int window,
                       std::vector<int> lengths) {
  return {.shape = {.heads = kv_heads * group,
                    .kv_heads = kv_heads,
                    .head_dim = head_dim,
                    .scale = static_cast<float>(1 / std::sqrt(head_dim)),
                    .window = window},
          .lengths = std::move(lengths)};
}

std::string Name(const AttentionSpec& spec) {
  return fmt::format("heads {}/{} x {}, window {}", spec.shape.heads, spec.shape.kv_heads,
                     spec.shape.head_dim, spec.shape.window);
}

AttentionCase::AttentionCase(const AttentionSpec& s) : spec(s) {
  const AttentionShape& shape = spec.shape;
  const int64_t q_width = shape.heads * shape.head_dim, kv_width = shape.kv_heads * shape.head_dim;
  q_stride = q_width + 3;
  kv_stride = kv_width + 5;
  int64_t rows = spec.first_row;
  for (int length : spec.lengths) {
    sequences.push_back({.row = rows, .queries = length});
    rows += length + spec.gap;
  }
  for (auto* x : {&q, &out, &dout, &dq}) x->resize(rows * q_stride);
  for (auto* x : {&k, &v, &dk, &dv}) x->resize(rows * kv_stride);
  log_sum.resize(rows * shape.heads);
  for (size_t i = 0; i < sequences.size(); ++i) {
    sequences[i].k = Kv(k, i);
    sequences[i].v = Kv(v, i);
    core::Philox rng(spec.seed + i, core::Role::kTest, 0, 0);
    for (int64_t p = 0; p < sequences[i].queries; ++p) {
      for (int64_t j = 0; j < q_width; ++j) {
        Q(q, i)[p * q_stride + j] = static_cast<float>(rng.Normal()) * spec.query_factor;
        Q(dout, i)[p * q_stride + j] = static_cast<float>(rng.Normal());
      }
      for (int64_t j = 0; j < kv_width; ++j) {
        Kv(k, i)[p * kv_stride + j] = static_cast<float>(rng.Normal());
        Kv(v, i)[p * kv_stride + j] = static_cast<float>(rng.Normal());
      }
    }
  }
}

AttentionForwardArgs AttentionCase::ForwardArgs() {
  return {.shape = spec.shape,
          .sequences = sequences,
          .q = q.data(),
          .q_stride = q_stride,
          .kv_stride = kv_stride,
          .out = out.data(),
          .out_stride = q_stride,
          .log_sum = log_sum.data()};
}

AttentionBackwardArgs AttentionCase::BackwardArgs() {
  return {.forward = ForwardArgs(),
          .dout = dout.data(),
          .dout_stride = q_stride,
          .dq = dq.data(),
          .dq_stride = q_stride,
          .dk = dk.data(),
          .dv = dv.data(),
          .dkv_stride = kv_stride};
}

namespace {
// One query of one head: its weights over the keys [first, position], and what they come from.
struct Query {
  Query(AttentionCase& c, int sequence, int64_t p, int64_t h)
      : d(c.spec.shape.head_dim), position(p) {
    const AttentionShape& shape = c.spec.shape;
    const int64_t kv_at = h / (shape.heads / shape.kv_heads) * d;
    kv_stride = c.kv_stride;
    q = c.Q(c.q, sequence) + p * c.q_stride + h * d;
    dout = c.Q(c.dout, sequence) + p * c.q_stride + h * d;
    k = c.Kv(c.k, sequence) + kv_at;
    v = c.Kv(c.v, sequence) + kv_at;
    first = shape.window > 0 ? std::max<int64_t>(p - shape.window + 1, 0) : 0;
    double top = -INFINITY, sum = 0;
    for (int64_t j = first; j <= p; ++j) {
      double score = 0, magnitude = 0;
      for (int64_t i = 0; i < d; ++i) {
        score += double(q[i]) * k[j * kv_stride + i];
        magnitude += std::pow(double(q[i]) * k[j * kv_stride + i], 2);
      }
      weight.push_back(score * shape.scale);
      top = std::max(top, weight.back());
      // of log2(e), scale and q rounded; of partial sums like a random walk
      score_error = std::max(score_error, 3 * std::fabs(weight.back()) +
                                              shape.scale * std::sqrt(magnitude) * std::sqrt(d));
    }
    for (double& w : weight) sum += w = std::exp(w - top);
    for (double& w : weight) w /= sum;
    log_sum = top + std::log(sum);
    // forward: twice (score and maximum), the exponential, sums over keys
    weight_error = 2 * score_error + 8 + std::sqrt(position - first + 1);
    // backward: the logarithm as well, rounded at its own size
    weight_error += 4 * std::fabs(log_sum);
  }
  double V(int64_t j, int64_t i) const { return v[j * kv_stride + i]; }
  double K(int64_t j, int64_t i) const { return k[j * kv_stride + i]; }

  int64_t d, position, first = 0, kv_stride = 0;
  const float *q, *dout, *k, *v;
  std::vector<double> weight;
  double score_error = 0, weight_error = 0, log_sum = 0;  // errors in units of 2^-24
};

// Adds one query of one head to the gradients.
void AddGradients(const Query& query, double scale, const AttentionCase& c, int64_t h,
                  AttentionOracle& o) {
  const AttentionShape& shape = c.spec.shape;
  const int64_t d = shape.head_dim, kv_at = h / (shape.heads / shape.kv_heads) * d;
  const int64_t keys = query.position - query.first + 1;
  std::vector<double> dp(keys), dp_size(keys);
  double delta = 0, delta_size = 0;
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t i = 0; i < d; ++i) {
      const double x = query.dout[i] * query.V(query.first + j, i);
      dp[j] += x;
      dp_size[j] += std::fabs(x);
    }
    delta += query.weight[j] * dp[j];
    delta_size += query.weight[j] * dp_size[j];
  }
  const double steps = query.weight_error + 2 * std::sqrt(d) + 8;
  for (int64_t j = 0; j < keys; ++j) {
    const int64_t p = query.first + j;
    const double ds = query.weight[j] * (dp[j] - delta) * scale;
    // relative error of the weight, and those of dp and delta
    const double ds_error = steps * query.weight[j] * (dp_size[j] + delta_size) * scale;
    for (int64_t i = 0; i < d; ++i) {
      const size_t kv = p * shape.kv_heads * d + kv_at + i;
      const size_t at = query.position * shape.heads * d + h * d + i;
      o.dv.value[kv] += query.weight[j] * query.dout[i];
      o.dv.error[kv] += steps * query.weight[j] * std::fabs(query.dout[i]);
      o.dk.value[kv] += ds * query.q[i];
      o.dk.error[kv] += ds_error * std::fabs(query.q[i]);
      o.dq.value[at] += ds * query.K(p, i);
      o.dq.error[at] += ds_error * std::fabs(query.K(p, i));
    }
  }
}
}  // namespace

AttentionOracle Oracle(AttentionCase& c, int sequence) {
  const AttentionShape& shape = c.spec.shape;
  const int64_t n = c.sequences[sequence].queries, d = shape.head_dim;
  AttentionOracle o;
  auto size = [](AttentionOracle::Values& x, size_t count) {
    x.value.resize(count);
    x.error.resize(count);
  };
  for (auto* x : {&o.out, &o.dq}) size(*x, n * shape.heads * d);
  for (auto* x : {&o.dk, &o.dv}) size(*x, n * shape.kv_heads * d);
  size(o.log_sum, n * shape.heads);
  for (int64_t p = 0; p < n; ++p) {
    for (int64_t h = 0; h < shape.heads; ++h) {
      const Query query(c, sequence, p, h);
      for (int64_t i = 0; i < d; ++i) {
        double value = 0, magnitude = 0;
        for (int64_t j = query.first; j <= p; ++j) {
          value += query.weight[j - query.first] * query.V(j, i);
          magnitude += query.weight[j - query.first] * std::fabs(query.V(j, i));
        }
        o.out.value[(p * shape.heads + h) * d + i] = value;
        o.out.error[(p * shape.heads + h) * d + i] = magnitude * query.weight_error;
      }
      o.log_sum.value[p * shape.heads + h] = query.log_sum;
      o.log_sum.error[p * shape.heads + h] = query.weight_error;
      AddGradients(query, shape.scale, c, h, o);
    }
  }
  return o;
}

double OracleLoss(AttentionCase& c, int sequence) {
  const AttentionShape& shape = c.spec.shape;
  double loss = 0;
  for (int64_t p = 0; p < c.sequences[sequence].queries; ++p) {
    for (int64_t h = 0; h < shape.heads; ++h) {
      const Query query(c, sequence, p, h);
      for (int64_t j = query.first; j <= p; ++j) {
        double dp = 0;
        for (int64_t i = 0; i < shape.head_dim; ++i) dp += query.dout[i] * query.V(j, i);
        loss += query.weight[j - query.first] * dp;
      }
    }
  }
  return loss;
}

}  // namespace pawl::kernels
