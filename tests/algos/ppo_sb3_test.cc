// Against Stable-Baselines3: from its recorded weights, Adam state, rollout and permutations, our
// learner gets its rewards, advantages, losses and weights. tests/goldens/make_sb3_ppo.py made the
// files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "algos/ppo.h"
#include "nn/policy_runner.h"
#include "rollout_testing.h"
#include "tests/goldens/goldens.h"

namespace pawl::algos {
namespace {
constexpr int kTime = 256, kBatch = 8, kObs = 11, kAct = 3, kMinibatch = 64;
// One variable scales every tolerance: 0 shows the true residuals.
constexpr double kTolerance = 1;
const kernels::MlpShape kShape{.obs = kObs, .act = kAct, .hidden = {64, 64}};

// SB3's name of one of our parameters: "policy.1.weight" -> "mlp_extractor.policy_net.2.weight".
std::string Sb3Name(const std::string& name) {
  if (name == "log_std") return name;
  const std::string net = name.substr(0, name.find('.')), part = name.substr(name.rfind('.'));
  const int layer = name[net.size() + 1] - '0';
  if (layer < 2) return fmt::format("mlp_extractor.{}_net.{}{}", net, 2 * layer, part);
  return (net == "policy" ? "action_net" : "value_net") + part;
}

// One recorded train() of SB3, in our names and row order.
class Golden {
 public:
  explicit Golden(const std::string& name)
      : arrays_(core::ReadSafetensors(GoldensFolder() / "sb3" / (name + ".safetensors"))) {
    const auto done = Get<uint8_t>("rollout/dones"), cut = Get<uint8_t>("rollout/truncated");
    terminated_.resize(done.size());
    for (size_t i = 0; i < done.size(); ++i) terminated_[i] = done[i] && !cut[i];
    final_value_.assign(done.size(), 0);
    const auto index = Get<int32_t>("rollout/terminal_index");
    const auto value = Get<float>("rollout/terminal_values");
    for (size_t k = 0; k < value.size(); ++k) {
      final_value_[index[2 * k] * kBatch + index[2 * k + 1]] = value[k];
    }
    for (const int32_t sample : Get<int32_t>("permutations")) {
      order_.push_back(sample % kTime * kBatch + sample / kTime);
    }
  }

  template <class T>
  std::span<const T> Get(const std::string& name) const {
    return arrays_.Get<T>(name);
  }
  // A flat buffer of the parameters under `prefix`: weights or Adam moments.
  kernels::AlignedBuffer Flat(const std::string& prefix) const {
    core::ArrayMap named;
    const kernels::MlpLayout layout(kShape);
    for (const auto& p : layout.parameters()) {
      const auto& array = arrays_.At(prefix + "/" + Sb3Name(p.name));
      named.PutRaw(p.name, array.dtype, array.data, array.shape);
    }
    kernels::AlignedBuffer flat(layout.size());
    nn::NamedToFlat(kShape, named, flat.span());
    return flat;
  }
  rollout::TrajectoryBatch Rollout() const {
    auto floats = [&](const char* name) { return Get<float>(name).data(); };
    return {.time = kTime,
            .batch = kBatch,
            .obs = kObs,
            .act = kAct,
            .observation = floats("rollout/observations"),
            .action = floats("rollout/actions"),
            .log_prob = floats("rollout/log_probs"),
            .value = floats("rollout/values"),
            .reward = floats("rollout/rewards_raw"),
            .terminated = terminated_.data(),
            .truncated = Get<uint8_t>("rollout/truncated").data(),
            .final_value = final_value_.data(),
            .last_value = floats("rollout/last_values")};
  }
  // Rows in the order in which SB3 took them, epoch after epoch.
  std::span<const int32_t> order() const { return order_; }
  int64_t optimizer_steps() const { return arrays_.GetScalar<int64_t>("optimizer_steps"); }

  // A learner with SB3's weights and Adam state that takes rows in SB3's order.
  std::unique_ptr<PpoLearner> Learner(const PpoConfig& config) const {
    auto learner =
        std::make_unique<PpoLearner>(config, nn::PolicyConfig{}, kShape, /*seed=*/0, "cpu");
    core::ArrayMap state;
    const auto weights = Flat("before"), m = Flat("adam_before/exp_avg");
    const auto v = Flat("adam_before/exp_avg_sq");
    const auto size = static_cast<int64_t>(weights.size());
    nn::FlatToNamed(kShape, weights.span(), state);
    state.Put<float>("adam/m", m.span(), {size});
    state.Put<float>("adam/v", v.span(), {size});
    state.PutScalar<int64_t>("adam/step", arrays_.GetScalar<int64_t>("adam_before/step"));
    state.PutScalar<int64_t>("ppo/epochs", 0);
    state.PutScalar<double>("ppo/learning_rate", config.learning_rate);
    learner->Load(state);
    learner->ReplayPermutation([this](int64_t, int epoch, std::span<int32_t> rows) {
      std::copy_n(order_.begin() + size_t(epoch) * rows.size(), rows.size(), rows.begin());
    });
    return learner;
  }

 private:
  core::ArrayMap arrays_;
  std::vector<uint8_t> terminated_;
  std::vector<float> final_value_;
  std::vector<int32_t> order_;
};

PpoConfig CaseConfig(const std::string& name, UpdatePath path) {
  PpoConfig config;  // SB3's defaults are ours
  config.horizon = kTime;
  config.update_path = path;
  if (name == "clip_vf") config.clip_range_value = 0.2;
  if (name == "target_kl") config.target_kl = 0.007;
  return config;
}

// What SB3 adds to the reward of a truncated step is what our scan bootstraps with.
TEST(Sb3, BootstrappedRewardsAreTheSame) {
  const Golden golden("base");
  const auto batch = golden.Rollout();
  int truncated = 0;
  std::vector<float> bootstrapped(batch.rows());
  for (int64_t i = 0; i < batch.rows(); ++i) {
    bootstrapped[i] = batch.reward[i] + (batch.truncated[i] ? 0.99f * batch.final_value[i] : 0.0f);
    truncated += batch.truncated[i];
  }
  EXPECT_GT(truncated, 0);
  EXPECT_LE(MaxDifference(bootstrapped, golden.Get<float>("rollout/rewards")), kTolerance * 1e-5);
}

TEST(Sb3, OurPolicyGivesItsValuesAndLogProbabilities) {
  const Golden golden("base");
  const auto batch = golden.Rollout();
  const auto weights = golden.Flat("before");
  const auto rows = static_cast<int>(batch.rows());
  nn::PolicyRunner runner(kShape, rows);
  std::vector<float> head(size_t{kAct} * rows), value(rows), log_prob(rows);
  runner.Forward(weights.span(), batch.observation, rows, head.data(), value.data());
  kernels::ActionLogProb(kShape.head, kAct, head.data(), runner.LogStd(weights.span()),
                         batch.action, rows, log_prob.data());
  // values reach some hundred, where float32 counts in steps of 1e-5
  for (int row = 0; row < rows; ++row) {
    ASSERT_NEAR(value[row], batch.value[row], kTolerance * 1e-6 * (1 + std::fabs(value[row])));
  }
  EXPECT_LE(MaxDifference(log_prob, golden.Get<float>("rollout/log_probs")), kTolerance * 1e-5);
}

class Sb3Train : public testing::TestWithParam<std::tuple<std::string, UpdatePath>> {};
INSTANTIATE_TEST_SUITE_P(Cases, Sb3Train,
                         testing::Combine(testing::Values("base", "clip_vf", "target_kl"),
                                          testing::Values(UpdatePath::kFused, UpdatePath::kTorch)),
                         [](const auto& info) {
                           return std::get<0>(info.param) +
                                  (std::get<1>(info.param) == UpdatePath::kFused ? "_fused"
                                                                                 : "_torch");
                         });

TEST_P(Sb3Train, WeightsAgreeAfterTenMinibatches) {
  const auto& [name, path] = GetParam();
  const Golden golden(name);
  // a rollout of the first ten minibatches alone
  constexpr int kRows = 10 * kMinibatch;
  const auto batch = golden.Rollout();
  TestRollout ten{.time = 10, .batch = kMinibatch, .obs = kObs, .act = kAct};
  for (const int32_t row : golden.order().first(kRows)) {
    auto add = [&](std::vector<float>& to, const float* from, int width) {
      to.insert(to.end(), from + size_t(row) * width, from + size_t(row + 1) * width);
    };
    add(ten.observation, batch.observation, kObs);
    add(ten.action, batch.action, kAct);
    add(ten.log_prob, batch.log_prob, 1);
    add(ten.value, batch.value, 1);
    // one-step episodes whose reward is SB3's return: advantage and return are then SB3's
    add(ten.reward, golden.Get<float>("rollout/returns").data(), 1);
  }
  ten.terminated.assign(kRows, 1);
  ten.truncated.assign(kRows, 0);
  ten.final_value.assign(kRows, 0);
  ten.last_value.assign(kMinibatch, 0);
  PpoConfig config = CaseConfig(name, path);
  config.epochs = 1;
  const auto learner = golden.Learner(config);
  const int64_t before = learner->gradient_steps();
  learner->ReplayPermutation(
      [](int64_t, int, std::span<int32_t> rows) { std::iota(rows.begin(), rows.end(), 0); });
  learner->Update(ten.View(), 0, 0);
  ASSERT_EQ(learner->gradient_steps() - before, 10);
  const auto expected = golden.Flat("after_10");
  EXPECT_LE(MaxDifference(learner->Weights(), expected.span()), kTolerance * 1e-5);
}

TEST_P(Sb3Train, AWholeUpdateAgrees) {
  const auto& [name, path] = GetParam();
  const Golden golden(name);
  const auto learner = golden.Learner(CaseConfig(name, path));
  const int64_t before = learner->gradient_steps();
  const auto metrics = learner->Update(golden.Rollout(), 0, 0);
  // returns reach some hundred: 1e-5 is of their size
  double largest = 1;
  for (const float x : golden.Get<float>("rollout/returns")) {
    largest = std::max<double>(largest, std::fabs(x));
  }
  EXPECT_LE(MaxDifference(learner->advantage(), golden.Get<float>("rollout/advantages")),
            kTolerance * 1e-5 * largest);
  EXPECT_LE(MaxDifference(learner->returns(), golden.Get<float>("rollout/returns")),
            kTolerance * 1e-5 * largest);
  EXPECT_EQ(learner->gradient_steps() - before, golden.optimizer_steps());
  const auto expected = golden.Flat("after");
  EXPECT_LE(MaxDifference(learner->Weights(), expected.span()), kTolerance * 1e-4);
  // our metrics are means over every minibatch of the update
  const std::map<std::string, double> ours(metrics.begin(), metrics.end());
  for (const char* metric :
       {"policy_loss", "value_loss", "approx_kl", "clip_fraction", "grad_norm"}) {
    const auto each = golden.Get<float>(std::string("minibatch/") + metric);
    const double theirs = std::accumulate(each.begin(), each.end(), 0.0) / each.size();
    EXPECT_NEAR(ours.at(metric), theirs, kTolerance * 1e-3 * std::max(1.0, std::fabs(theirs)))
        << metric;
  }
}

// What the tolerances can see: each of these departures from SB3 is far outside them.
TEST(Sb3, DeparturesFromItsConventionsAreSeen) {
  const Golden golden("base");
  const auto expected = golden.Flat("after");
  auto difference = [&](auto&& change) {
    PpoConfig config = CaseConfig("base", UpdatePath::kFused);
    change(config);
    const auto learner = golden.Learner(config);
    learner->Update(golden.Rollout(), 0, 0);
    return MaxDifference(learner->Weights(), expected.span());
  };
  EXPECT_LT(difference([](PpoConfig&) {}), 1e-3);
  EXPECT_GT(difference([](PpoConfig& c) { c.adam_epsilon = 1e-8; }), 1e-3);
  EXPECT_GT(difference([](PpoConfig& c) { c.value_coef = 0.25; }), 1e-3);
  EXPECT_GT(difference([](PpoConfig& c) { c.max_grad_norm = 0; }), 1e-3);
  EXPECT_GT(difference([](PpoConfig& c) { c.clip_range_value = 0.2; }), 1e-3);
  EXPECT_GT(difference([](PpoConfig& c) { c.gae_lambda = 0.94; }), 1e-3);
  EXPECT_GT(
      difference([](PpoConfig& c) { c.normalize_advantage = AdvantageNormalization::kBatch; }),
      1e-3);
}

}  // namespace
}  // namespace pawl::algos
