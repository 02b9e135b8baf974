#include "nn/torch_lm_head.h"

#include <torch/torch.h>

#include <algorithm>
#include <vector>

#include "nn/shape.h"

namespace pawl::nn {
namespace {
using torch::Tensor;

// a b with sums in float32; operands already have the compute type.
Tensor Product(const Tensor& a, const Tensor& b) {
  if (a.scalar_type() != at::kBFloat16) return at::mm(a, b);
  if (a.is_cuda()) return at::mm(a, b, at::kFloat);
  // products of two bfloat16 are exact in float32, so this is the same sum
  return at::mm(a.to(at::kFloat), b.to(at::kFloat));
}

int64_t ChunkRows(const LmHeadRows& rows, const LmHeadSettings& settings) {
  if (settings.chunk_rows > 0) return settings.chunk_rows;
  // below about 1024 rows the products of a GPU starve, so it gets more memory (1 GiB a buffer)
  const int64_t floats = rows.weight.is_cuda() ? int64_t{1} << 28 : int64_t{1} << 24;
  return std::max<int64_t>(floats / rows.weight.size(0), 64);
}

void CheckRows(const LmHeadRows& rows) {
  const int64_t N = rows.targets.size(0), V = rows.weight.size(0), D = rows.weight.size(1);
  PAWL_CHECK_SHAPE(rows.hidden, {N, D});
  PAWL_CHECK_SHAPE(rows.weight, {V, D});
  PAWL_CHECK(rows.hidden.scalar_type() == rows.weight.scalar_type());
  PAWL_CHECK(rows.targets.scalar_type() == at::kLong);
}

// C rows of the head. Holds two buffers [C, V] while it lives.
class HeadChunk {
 public:
  // weight [V, D] in the compute type
  HeadChunk(const LmHeadRows& rows, int64_t first, int64_t count, const Tensor& weight,
            const LmHeadSettings& settings)
      : settings_(settings),
        weight_(weight),
        hidden_(rows.hidden.detach().narrow(0, first, count).to(settings.compute)),
        targets_(rows.targets.narrow(0, first, count).unsqueeze(1)),
        logits_(Product(hidden_, weight_.t())) {
    if (settings_.soft_cap > 0) {
      logits_.div_(settings_.soft_cap).tanh_().mul_(settings_.soft_cap);
    }
    if (settings_.inverse_temperature != 1) logits_.mul_(settings_.inverse_temperature);
  }
  const Tensor& logits() const { return logits_; }

  // Once: turns the logits into log-probabilities.
  LmHeadResult Forward() {
    lse_ = at::logsumexp(logits_, 1, /*keepdim=*/true);
    logits_.sub_(lse_);
    probability_ = logits_.exp();
    // sum p log p a row as a batch of dot products, which needs no third buffer
    const Tensor sums = at::bmm(probability_.unsqueeze(1), logits_.unsqueeze(2));
    entropy_ = sums.squeeze(2).neg();
    return {.log_prob = logits_.gather(1, targets_).squeeze(1), .entropy = entropy_.squeeze(1)};
  }

  // After Forward, once: turns the log-probabilities into the logits' gradient. dlog_prob, dentropy
  // [C], undefined where zero. Returns dhidden [C, D] and adds to *dweight unless it is nullptr.
  Tensor Backward(const Tensor& dlog_prob, const Tensor& dentropy, Tensor* dweight) {
    Tensor slope;  // of the cap, from tanh = logits / (cap inverse_temperature)
    if (settings_.soft_cap > 0) {
      const double scale = settings_.soft_cap * settings_.inverse_temperature;
      slope = at::add(logits_, lse_).div_(scale).square_().neg_().add_(1);
    }
    // dz_j = dlog_prob (1[j = target] - p_j) - dentropy p_j (log p_j + entropy)
    Tensor dlogits = logits_;
    if (dentropy.defined()) {
      dlogits.add_(entropy_).mul_(dentropy.unsqueeze(1).neg());
    } else {
      dlogits.zero_();
    }
    if (dlog_prob.defined()) dlogits.sub_(dlog_prob.unsqueeze(1));
    dlogits.mul_(probability_);
    if (dlog_prob.defined()) dlogits.scatter_add_(1, targets_, dlog_prob.unsqueeze(1));
    if (slope.defined()) dlogits.mul_(slope);
    if (settings_.inverse_temperature != 1) dlogits.mul_(settings_.inverse_temperature);
    const Tensor operand = dlogits.to(settings_.compute);
    if (dweight != nullptr) dweight->add_(Product(operand.t(), hidden_));
    return Product(operand, weight_);
  }

 private:
  const LmHeadSettings& settings_;
  const Tensor& weight_;
  Tensor hidden_;       // [C, D]
  Tensor targets_;      // [C, 1]
  Tensor logits_;       // [C, V], then log-probabilities, then the logits' gradient
  Tensor probability_;  // [C, V]
  Tensor lse_;          // [C, 1] log sum exp of the logits
  Tensor entropy_;      // [C, 1]
};

// Calls run(first, count) for the chunks of rows in ascending order.
template <class Run>
void ForChunks(const LmHeadRows& rows, const LmHeadSettings& settings, const Run& run) {
  const int64_t total = rows.hidden.size(0), chunk = ChunkRows(rows, settings);
  for (int64_t first = 0; first < total; first += chunk) {
    run(first, std::min(chunk, total - first));
  }
}

LmHeadResult EmptyResult(const LmHeadRows& rows) {
  const auto options = rows.hidden.options().requires_grad(false);
  return {.log_prob = at::empty({rows.hidden.size(0)}, options),
          .entropy = at::empty({rows.hidden.size(0)}, options)};
}

void PutChunk(const LmHeadResult& chunk, int64_t first, int64_t count, LmHeadResult* result) {
  result->log_prob.narrow(0, first, count).copy_(chunk.log_prob);
  result->entropy.narrow(0, first, count).copy_(chunk.entropy);
}

class ChunkedLmHead : public torch::autograd::Function<ChunkedLmHead> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                const Tensor& hidden, const Tensor& weight,
                                                const Tensor& targets,
                                                const LmHeadSettings& settings) {
    context->set_materialize_grads(false);
    context->save_for_backward({hidden, weight, targets});
    context->saved_data["compute"] = static_cast<int64_t>(settings.compute);
    context->saved_data["inverse_temperature"] = settings.inverse_temperature;
    context->saved_data["soft_cap"] = settings.soft_cap;
    context->saved_data["chunk_rows"] = settings.chunk_rows;
    const LmHeadRows rows{.hidden = hidden, .weight = weight, .targets = targets};
    const Tensor operand = weight.detach().to(settings.compute);
    LmHeadResult result = EmptyResult(rows);
    ForChunks(rows, settings, [&](int64_t first, int64_t count) {
      HeadChunk chunk(rows, first, count, operand, settings);
      PutChunk(chunk.Forward(), first, count, &result);
    });
    return {result.log_prob, result.entropy};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const LmHeadRows rows{.hidden = saved[0], .weight = saved[1], .targets = saved[2]};
    const LmHeadSettings settings{
        .compute = static_cast<torch::Dtype>(context->saved_data["compute"].toInt()),
        .inverse_temperature = context->saved_data["inverse_temperature"].toDouble(),
        .soft_cap = context->saved_data["soft_cap"].toDouble(),
        .chunk_rows = context->saved_data["chunk_rows"].toInt()};
    const Tensor operand = rows.weight.detach().to(settings.compute);
    Tensor dhidden = at::empty_like(rows.hidden, at::MemoryFormat::Contiguous);
    Tensor dweight;
    if (context->needs_input_grad(1)) dweight = at::zeros_like(rows.weight);
    ForChunks(rows, settings, [&](int64_t first, int64_t count) {
      HeadChunk chunk(rows, first, count, operand, settings);
      chunk.Forward();
      const auto part = [&](const Tensor& gradient) {
        return gradient.defined() ? gradient.narrow(0, first, count) : gradient;
      };
      dhidden.narrow(0, first, count)
          .copy_(chunk.Backward(part(gradients[0]), part(gradients[1]),
                                dweight.defined() ? &dweight : nullptr));
    });
    return {dhidden, dweight, Tensor(), Tensor()};
  }
};

// The derivatives of a chunk's losses, asked from the host.
class HostLoss {
 public:
  HostLoss(const kernels::TokenLoss& loss, const Tensor& like) : loss_(loss), like_(like) {}
  void Ask(const LmHeadResult& chunk, int64_t first) {
    const Tensor log_prob = chunk.log_prob.to(at::kCPU, at::kFloat).contiguous();
    const Tensor entropy = chunk.entropy.to(at::kCPU, at::kFloat).contiguous();
    const auto count = static_cast<size_t>(log_prob.numel());
    dlog_prob_.assign(count, 0.0f);
    dentropy_.assign(count, 0.0f);
    loss_(first, {log_prob.data_ptr<float>(), count}, {entropy.data_ptr<float>(), count},
          dlog_prob_, dentropy_);
  }
  Tensor dlog_prob() { return OnDevice(dlog_prob_); }
  Tensor dentropy() {  // undefined where all are zero: most losses have none
    const bool used = std::any_of(dentropy_.begin(), dentropy_.end(), [](float d) { return d; });
    return used ? OnDevice(dentropy_) : Tensor();
  }

 private:
  Tensor OnDevice(std::vector<float>& values) {
    const auto count = static_cast<int64_t>(values.size());
    return at::from_blob(values.data(), {count}, at::kFloat).to(like_.options(), false, true);
  }
  const kernels::TokenLoss& loss_;
  const Tensor& like_;
  std::vector<float> dlog_prob_, dentropy_;
};

}  // namespace

Tensor LmHeadLogits(const LmHeadRows& rows, const LmHeadSettings& settings) {
  torch::NoGradGuard no_grad;
  CheckRows(rows);
  const Tensor operand = rows.weight.to(settings.compute);
  return HeadChunk(rows, 0, rows.hidden.size(0), operand, settings).logits();
}

LmHeadResult LmHeadLogProb(const LmHeadRows& rows, const LmHeadSettings& settings) {
  CheckRows(rows);
  const auto out = ChunkedLmHead::apply(rows.hidden, rows.weight, rows.targets, settings);
  return {.log_prob = out[0], .entropy = out[1]};
}

LmHeadResult LmHeadScore(const LmHeadRows& rows, const LmHeadSettings& settings) {
  torch::NoGradGuard no_grad;
  CheckRows(rows);
  const Tensor operand = rows.weight.to(settings.compute);
  LmHeadResult result = EmptyResult(rows);
  result.best_log_prob = at::empty_like(result.log_prob);
  ForChunks(rows, settings, [&](int64_t first, int64_t count) {
    HeadChunk chunk(rows, first, count, operand, settings);
    PutChunk(chunk.Forward(), first, count, &result);
    result.best_log_prob.narrow(0, first, count).copy_(chunk.logits().amax(1));  // log p by now
  });
  return result;
}

LmHeadResult LmHeadLoss(const LmHeadRows& rows, const LmHeadSettings& settings,
                        const kernels::TokenLoss& loss, Tensor* dhidden, Tensor* dweight) {
  torch::NoGradGuard no_grad;
  CheckRows(rows);
  if (dweight != nullptr) PAWL_CHECK_SHAPE(*dweight, rows.weight.sizes().vec());
  const Tensor operand = rows.weight.to(settings.compute);
  LmHeadResult result = EmptyResult(rows);
  *dhidden = at::empty_like(rows.hidden, at::MemoryFormat::Contiguous);
  HostLoss host(loss, result.log_prob);
  ForChunks(rows, settings, [&](int64_t first, int64_t count) {
    HeadChunk chunk(rows, first, count, operand, settings);
    const LmHeadResult part = chunk.Forward();
    PutChunk(part, first, count, &result);
    host.Ask(part, first);
    dhidden->narrow(0, first, count)
        .copy_(chunk.Backward(host.dlog_prob(), host.dentropy(), dweight));
  });
  return result;
}

}  // namespace pawl::nn
