// The fused PPO minibatch step beside LibTorch eager on the same two nets, loss and data, and
// beside what the core can do: multiply-add rate and memory bandwidth are measured in the same
// rounds, alternating with the contenders. One JSON object per case, then a table on stderr.
//   ppo_update_bench [--rounds N] [--seconds S]
#include <fmt/format.h>
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

#include "bench/figure.h"
#include "core/clock.h"
#include "core/rng.h"
#include "kernels/advantage.h"
#include "kernels/cpu_info.h"
#include "kernels/ppo_update.h"

namespace pawl::kernels {
namespace {

struct Options {
  int rounds = 9;
  double seconds = 0.05;  // a contender's turn in a round
};

// Seconds per call of f: median over groups of calls, which are long enough for the clock (0.2 ms)
// and short enough that most of them escape the other users of a busy machine.
double TimePerCall(const std::function<void()>& f, double seconds) {
  f();
  double start = core::MonotonicSeconds();
  f();
  const double once = core::MonotonicSeconds() - start;
  const int group = std::clamp(static_cast<int>(2e-4 / (once + 1e-9)), 1, 1000);
  std::vector<double> samples;
  const double end = core::MonotonicSeconds() + seconds;
  for (start = core::MonotonicSeconds(); start < end;) {
    for (int i = 0; i < group; ++i) f();
    const double now = core::MonotonicSeconds();
    samples.push_back((now - start) / group);
    start = now;
  }
  std::nth_element(samples.begin(), samples.begin() + samples.size() / 2, samples.end());
  return samples[samples.size() / 2];
}

// A rollout of `rows` rows drawn from the policy.
struct Rollout {
  Rollout(const MlpLayout& layout, const float* weights, int rows) {
    const MlpShape& shape = layout.shape();
    core::Philox rng(1, core::Role::kTest, 0, 0);
    auto normal = [&](std::vector<float>& x, size_t count) {
      x.resize(count);
      for (float& v : x) v = static_cast<float>(rng.Normal());
    };
    std::vector<float> head(size_t(rows) * shape.act), noise;
    normal(obs, size_t(rows) * shape.obs);
    normal(noise, head.size());
    normal(advantage, rows);
    normal(returns, rows);
    action.resize(head.size());
    log_prob.resize(rows);
    value.resize(rows);
    MlpForward(layout, rows).Run(weights, obs.data(), rows, head.data(), value.data());
    SampleActions(shape.head, shape.act, head.data(), weights + layout.Find("log_std").offset,
                  noise.data(), rows, action.data(), log_prob.data());
  }
  PpoBatchView View() const {
    return {.obs = obs.data(),
            .action = action.data(),
            .log_prob = log_prob.data(),
            .advantage = advantage.data(),
            .returns = returns.data(),
            .value = value.data()};
  }
  std::vector<float> obs, action, log_prob, advantage, returns, value;
};

AlignedBuffer RandomWeights(const MlpLayout& layout) {
  AlignedBuffer flat(layout.size());
  core::Philox rng(2, core::Role::kTest, 0, 0);
  for (const auto& p : layout.parameters()) {
    std::vector<float> dense(size_t(p.out) * std::max(p.in, 1));
    const double scale = p.in == 0 ? 0 : 1 / std::sqrt(p.in);
    for (float& x : dense) x = static_cast<float>(scale * rng.Normal());
    layout.Pack(p, dense.data(), flat.data());
  }
  return flat;
}

// What a LibTorch user writes: two Sequential-like nets, autograd, clip_grad_norm_, Adam.
class Eager {
 public:
  Eager(const MlpLayout& layout, const float* weights, const Rollout& rollout) : layout_(layout) {
    for (const auto& p : layout.parameters()) {
      torch::Tensor t =
          torch::empty(p.in == 0 ? std::vector<int64_t>{p.out} : std::vector<int64_t>{p.out, p.in});
      layout.Unpack(p, weights, t.data_ptr<float>());
      parameters_[p.name] = t.requires_grad_();
      list_.push_back(t);
    }
    adam_ = std::make_unique<torch::optim::Adam>(
        list_, torch::optim::AdamOptions(3e-4).eps(1e-5).betas({0.9f, 0.999f}));
    const int64_t rows = rollout.log_prob.size();
    auto tensor = [&](const std::vector<float>& x) {
      return torch::tensor(x).view({rows, -1}).squeeze(-1);
    };
    obs_ = tensor(rollout.obs);
    action_ = tensor(rollout.action);
    log_prob_ = tensor(rollout.log_prob);
    advantage_ = tensor(rollout.advantage);
    returns_ = tensor(rollout.returns);
  }

  void Step(const std::vector<torch::Tensor>& indices) {
    const torch::Tensor& index = indices[step_++ % indices.size()];
    const auto obs = obs_.index_select(0, index), action = action_.index_select(0, index);
    auto advantage = advantage_.index_select(0, index);
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8);
    const auto mean = Net("policy", obs), value = Net("value", obs).squeeze(-1);
    const auto& log_std = parameters_["log_std"];
    const auto z = (action - mean) * torch::exp(-log_std);
    const auto log_prob = (-0.5 * z * z - log_std - 0.5 * std::log(2 * M_PI)).sum(-1);
    const auto ratio = torch::exp(log_prob - log_prob_.index_select(0, index));
    const auto policy_loss =
        -torch::min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean();
    const auto value_loss = torch::mse_loss(value, returns_.index_select(0, index));
    adam_->zero_grad();
    (policy_loss + 0.5 * value_loss).backward();
    torch::nn::utils::clip_grad_norm_(list_, 0.5);
    adam_->step();
  }

  // Largest difference from the flat weights of the fused path.
  double Difference(const float* weights) const {
    double worst = 0;
    for (const auto& p : layout_.parameters()) {
      torch::Tensor ours = torch::empty_like(parameters_.at(p.name));
      layout_.Unpack(p, weights, ours.data_ptr<float>());
      worst = std::max(worst, (ours - parameters_.at(p.name)).abs().max().item<double>());
    }
    return worst;
  }

 private:
  torch::Tensor Net(const std::string& net, torch::Tensor x) {
    const size_t depth = layout_.shape().hidden.size();
    for (size_t i = 0; i <= depth; ++i) {
      const std::string name = net + "." + std::to_string(i);
      x = torch::linear(x, parameters_[name + ".weight"], parameters_[name + ".bias"]);
      if (i < depth) x = torch::tanh(x);
    }
    return x;
  }

  const MlpLayout& layout_;
  size_t step_ = 0;
  std::map<std::string, torch::Tensor> parameters_;
  std::vector<torch::Tensor> list_;
  std::unique_ptr<torch::optim::Adam> adam_;
  torch::Tensor obs_, action_, log_prob_, advantage_, returns_;
};

// Minibatches that cover the rollout in turn: on one alone every row would soon be clipped and the
// policy's gradient vanish.
struct Minibatches {
  Minibatches(int total, int rows) {
    std::vector<int32_t> order(total);
    for (int i = 0; i < total; ++i) order[i] = static_cast<int32_t>(i * 577LL % total);
    for (int at = 0; at + rows <= total; at += rows) {
      index.emplace_back(order.begin() + at, order.begin() + at + rows);
      torch_index.push_back(torch::tensor(index.back()).to(torch::kLong));
    }
  }
  std::vector<std::vector<int32_t>> index;
  std::vector<torch::Tensor> torch_index;
};

// The fused path with its own copy of the weights.
struct Fused {
  Fused(const MlpLayout& layout, const AlignedBuffer& weights, int rows, int threads)
      : update(layout, rows, threads), weights(weights), m(layout.size()), v(layout.size()) {}
  void Step(const Rollout& rollout, const Minibatches& batches) {
    const auto& index = batches.index[step % batches.index.size()];
    update.Step(rollout.View(), index.data(), static_cast<int>(index.size()), {}, {}, ++step,
                weights.data(), m.data(), v.data());
  }
  PpoUpdate update;
  AlignedBuffer weights, m, v;
  int64_t step = 0;
};

// Floating-point operations of a step: two a multiply-add, forward and twice that backward.
double StepOperations(const MlpShape& shape, int rows) {
  double sum = 0;
  for (int head : {shape.act, 1}) {
    int in = shape.obs;
    for (int width : shape.hidden) {
      sum += double(in) * width;
      in = width;
    }
    sum += double(in) * head;
  }
  return 6 * sum * rows;
}

void BenchUpdate(const Options& options, int width, int rows) {
  const MlpShape shape{.obs = 17, .act = 6, .hidden = {width, width}};
  const MlpLayout layout(shape);
  const AlignedBuffer weights = RandomWeights(layout);
  const Rollout rollout(layout, weights.data(), 2048);
  const Minibatches batches(2048, rows);
  Fused one(layout, weights, rows, 1), two(layout, weights, rows, 2);
  Eager eager(layout, weights.data(), rollout);
  for (int i = 0; i < 10; ++i) {
    one.Step(rollout, batches);
    eager.Step(batches.torch_index);
  }
  const double difference = eager.Difference(one.weights.data());

  Figure peak, peak_two, ours, ours_two, theirs, share, share_two, ratio, ratio_two;
  const double operations = StepOperations(shape, rows);
  for (int round = 0; round < options.rounds; ++round) {
    peak.samples.push_back(MeasureFmaRate(1, options.seconds));
    const auto step_one = [&] { one.Step(rollout, batches); };
    ours.samples.push_back(TimePerCall(step_one, options.seconds));
    const auto step_eager = [&] { eager.Step(batches.torch_index); };
    theirs.samples.push_back(TimePerCall(step_eager, options.seconds));
    peak_two.samples.push_back(MeasureFmaRate(2, options.seconds));
    const auto step_two = [&] { two.Step(rollout, batches); };
    ours_two.samples.push_back(TimePerCall(step_two, options.seconds));
    share.samples.push_back(operations / ours.samples.back() / peak.samples.back());
    share_two.samples.push_back(operations / ours_two.samples.back() / peak_two.samples.back());
    ratio.samples.push_back(theirs.samples.back() / ours.samples.back());
    ratio_two.samples.push_back(theirs.samples.back() / ours_two.samples.back());
  }
  const auto name = fmt::format("update 17-{0}-{0}-6 + critic, batch {1}", width, rows);
  const nlohmann::json line = {{"case", name},
                               {"fused_1_core_s", ours.Json()},
                               {"fused_2_cores_s", ours_two.Json()},
                               {"eager_s", theirs.Json()},
                               {"fma_1_core_per_s", peak.Json()},
                               {"fma_2_cores_per_s", peak_two.Json()},
                               {"share_of_fma_1_core", share.Json()},
                               {"share_of_fma_2_cores", share_two.Json()},
                               {"eager_over_fused_1_core", ratio.Json()},
                               {"eager_over_fused_2_cores", ratio_two.Json()},
                               {"largest_weight_difference_after_10_steps", difference}};
  std::printf("%s\n", line.dump().c_str());
  std::fprintf(stderr,
               "%-44s 1 core %7.1f us (%.2f of FMA)  2 cores %7.1f us (%.2f)  eager %7.1f us  "
               "%.1fx, %.1fx\n",
               name.c_str(), ours.Median() * 1e6, share.Median(), ours_two.Median() * 1e6,
               share_two.Median(), theirs.Median() * 1e6, ratio.Median(), ratio_two.Median());
}

void BenchForward(const Options& options) {
  const MlpShape shape{.obs = 17, .act = 6, .hidden = {64, 64}};
  const MlpLayout layout(shape);
  const AlignedBuffer weights = RandomWeights(layout);
  const Rollout rollout(layout, weights.data(), 64);
  for (int rows : {1, 4, 8, 16, 64}) {
    MlpForward forward(layout, rows);
    std::vector<float> head(rows * 6), value(rows), noise(rows * 6, 0.3f), action(rows * 6);
    std::vector<float> log_prob(rows);
    Figure both, policy, sample;
    for (int round = 0; round < options.rounds; ++round) {
      auto per_row = [&](const std::function<void()>& f) {
        return TimePerCall(f, options.seconds / 4) / rows;
      };
      const float *w = weights.data(), *obs = rollout.obs.data();
      both.samples.push_back(
          per_row([&] { forward.Run(w, obs, rows, head.data(), value.data()); }));
      policy.samples.push_back(per_row([&] { forward.Run(w, obs, rows, head.data(), nullptr); }));
      sample.samples.push_back(per_row([&] {
        SampleActions(shape.head, 6, head.data(), w + layout.Find("log_std").offset, noise.data(),
                      rows, action.data(), log_prob.data());
      }));
    }
    const auto name = fmt::format("forward 17-64-64-6, {} rows", rows);
    const nlohmann::json line = {{"case", name},
                                 {"policy_and_value_s_per_row", both.Json()},
                                 {"policy_s_per_row", policy.Json()},
                                 {"sample_s_per_row", sample.Json()}};
    std::printf("%s\n", line.dump().c_str());
    std::fprintf(stderr, "%-44s both nets %.3f us a row, policy %.3f, sampling %.3f\n",
                 name.c_str(), both.Median() * 1e6, policy.Median() * 1e6, sample.Median() * 1e6);
  }
}

void BenchGae(const Options& options, int time, int batch) {
  const size_t count = size_t(time) * batch;
  std::vector<float> x(count, 0.1f), last(batch, 0.1f), advantage(count), returns(count);
  std::vector<float> value(count, 0.2f), final_value(count, 0.3f);
  std::vector<uint8_t> terminated(count), truncated(count);
  for (size_t i = 0; i < count; i += 997) terminated[i] = 1;
  const GaeArgs args{.time = time,
                     .batch = batch,
                     .reward = x.data(),
                     .value = value.data(),
                     .final_value = final_value.data(),
                     .last_value = last.data(),
                     .terminated = terminated.data(),
                     .truncated = truncated.data(),
                     .advantage = advantage.data(),
                     .returns = returns.data()};
  const auto reward = torch::tensor(x).view({time, batch});
  const auto values = torch::cat({torch::tensor(value), torch::tensor(last)}).view({-1, batch});
  const auto alive = 1 - torch::tensor(terminated).to(torch::kFloat).view({time, batch});
  const auto loop = [&] {
    torch::NoGradGuard no_grad;
    auto out = torch::empty({time, batch}), carried = torch::zeros({batch});
    for (int t = time - 1; t >= 0; --t) {
      const auto delta = reward[t] + 0.99 * values[t + 1] * alive[t] - values[t];
      carried = delta + 0.99 * 0.95 * alive[t] * carried;
      out[t] = carried;
    }
    return out + values.slice(0, 0, time);
  };
  Figure ours, theirs, read, share, ratio;
  // four floats and two flags in, two floats out (final_value read though rarely used)
  const double bytes = count * (3 * 4.0 + 2 + 2 * 4);
  for (int round = 0; round < options.rounds; ++round) {
    ours.samples.push_back(TimePerCall([&] { GaeCpu(args); }, options.seconds));
    theirs.samples.push_back(TimePerCall([&] { loop(); }, options.seconds));
    read.samples.push_back(MeasureReadBandwidth(1, 8, options.seconds));
    share.samples.push_back(bytes / ours.samples.back() / read.samples.back());
    ratio.samples.push_back(theirs.samples.back() / ours.samples.back());
  }
  const auto name = fmt::format("GAE T {} x B {}", time, batch);
  const nlohmann::json line = {{"case", name},
                               {"scan_s", ours.Json()},
                               {"libtorch_loop_s", theirs.Json()},
                               {"bytes", bytes},
                               {"read_bytes_per_s", read.Json()},
                               {"share_of_read_bandwidth", share.Json()},
                               {"loop_over_scan", ratio.Json()}};
  std::printf("%s\n", line.dump().c_str());
  std::fprintf(stderr, "%-44s %9.1f us, %.2f of read bandwidth, LibTorch loop %9.1f us, %.1fx\n",
               name.c_str(), ours.Median() * 1e6, share.Median(), theirs.Median() * 1e6,
               ratio.Median());
}

}  // namespace
}  // namespace pawl::kernels

int main(int argc, char** argv) {
  using namespace pawl::kernels;
  Options options;
  CLI::App app("The fused PPO step beside LibTorch eager and the core's limits");
  std::string only;
  app.add_option("--only", only, "update, forward or gae")
      ->check(CLI::IsMember({"update", "forward", "gae"}));
  app.add_option("--rounds", options.rounds)->check(CLI::PositiveNumber);
  app.add_option("--seconds", options.seconds, "a contender's turn in a round, s")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(1);
  const CpuInfo cpu = ReadCpuInfo();
  std::fprintf(stderr, "%s, %d cores, %s; medians of %d rounds\n", cpu.model.c_str(), cpu.cores,
               cpu.target.c_str(), options.rounds);
  if (only.empty() || only == "update") {
    for (auto [width, rows] : {std::pair{64, 64}, {256, 64}, {64, 1024}}) {
      BenchUpdate(options, width, rows);
    }
  }
  if (only.empty() || only == "forward") BenchForward(options);
  if (only.empty() || only == "gae") {
    for (auto [time, batch] : {std::pair{256, 8}, {256, 64}, {1024, 4096}}) {
      BenchGae(options, time, batch);
    }
  }
}
