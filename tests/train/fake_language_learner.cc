#include "fake_language_learner.h"

#include <signal.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/file.h"
#include "core/rng.h"

namespace pawl::train {
namespace {

void CountCall() {
  const int64_t call = FaultsOf().calls++;
  if (call == FaultsOf().kill_at_call) raise(SIGKILL);
  if (call == FaultsOf().interrupt_at_call) raise(SIGINT);
}

rlhf::LearnerInfo InfoOf(const rlhf::LearnerRequest& request) {
  rlhf::LearnerInfo info;
  info.vocab = request.model.vocab > 0 ? request.model.vocab : request.tokenizer_vocab;
  info.parameters = info.trained_parameters = info.vocab * info.vocab;
  info.description = fmt::format("bigrams of {} tokens", info.vocab);
  info.max_positions = request.context > 0 ? request.context : 1024;
  info.flops_per_token = 6.0 * static_cast<double>(info.vocab);
  return info;
}
}  // namespace

Faults& FaultsOf() {
  static Faults faults;
  return faults;
}

FakeLanguageLearner::FakeLanguageLearner(const rlhf::LearnerRequest& request)
    : LanguageModelLearner(InfoOf(request)),
      request_(request),
      vocab_(info_.vocab),
      weights_(static_cast<size_t>(vocab_ * vocab_)),
      momentum_(weights_.size()) {
  core::Philox rng(request.seed, core::Role::kInit, 0, 0);
  for (float& weight : weights_) weight = static_cast<float>(0.02 * rng.Normal());
  if (!request.model.path.empty()) {
    const auto arrays = core::ReadSafetensors(request.model.path + "/model.safetensors");
    arrays.CopyTo<float>("weights", weights_);
  }
}

std::vector<double> FakeLanguageLearner::Probabilities(int32_t before, double temperature) const {
  const float* logits = weights_.data() + before * vocab_;
  std::vector<double> p(static_cast<size_t>(vocab_));
  const double most = *std::max_element(logits, logits + vocab_);
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] = std::exp((logits[i] - most) / temperature);
  for (double& value : p) value /= sum;
  return p;
}

double FakeLanguageLearner::Target(int32_t before, int32_t token,
                                   std::vector<double>* gradient) const {
  const auto p = Probabilities(before, 1);
  if (gradient != nullptr) {
    double* row = gradient->data() + before * vocab_;
    for (size_t i = 0; i < p.size(); ++i) row[i] += p[i];
    row[token] -= 1;
  }
  return -std::log(p[static_cast<size_t>(token)]);
}

void FakeLanguageLearner::Count() const {
  CountCall();
  for (auto& values : handed_out_)
    std::fill(values.begin(), values.end(), std::numeric_limits<float>::quiet_NaN());
}

algos::UpdateMetrics FakeLanguageLearner::Update(const rollout::SequenceBatch& batch,
                                                 int64_t update, double /*progress*/) {
  Count();
  if (update == FaultsOf().nan_at_update) {
    throw RunError({.what = "the gradient of 'bigrams.weight' is nan",
                    .expected = "finite numbers",
                    .hint = "no step was taken"});
  }
  std::vector<double> gradient(weights_.size());
  double loss = 0;
  int64_t targets = 0;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    for (int32_t t = batch.starts[s] + 1; t < batch.starts[s + 1]; ++t) {
      if (batch.is_target[t] == 0) continue;
      loss += Target(batch.tokens[t - 1], batch.tokens[t], &gradient);
      ++targets;
    }
  }
  double norm = 0;
  for (double& value : gradient) {
    value /= static_cast<double>(targets);
    norm += value * value;
  }
  const double rate = rlhf::LearningRateAt(request_.train, update, request_.total_updates);
  for (size_t i = 0; i < weights_.size(); ++i) {
    momentum_[i] = static_cast<float>(0.9 * momentum_[i] + gradient[i]);
    weights_[i] -= static_cast<float>(rate * momentum_[i]);
  }
  Count();
  return {{"loss", loss / static_cast<double>(targets)},
          {"grad_norm", std::sqrt(norm)},
          {"learning_rate", rate}};
}

void FakeLanguageLearner::Save(core::ArrayMap& out) const {
  Count();
  handed_out_ = {weights_, momentum_};
  out.PutView<float>("weights", handed_out_[0], {vocab_, vocab_});
  out.PutView<float>("momentum", handed_out_[1], {vocab_, vocab_});
}

void FakeLanguageLearner::Load(const core::ArrayMap& in) {
  in.CopyTo<float>("weights", weights_);
  if (!request_.evaluate_only) in.CopyTo<float>("momentum", momentum_);
}

void FakeLanguageLearner::Score(const rollout::SequenceBatch& batch,
                                const nn::TokenScores& scores) {
  Count();
  Faults& faults = FaultsOf();
  const int64_t evaluation = faults.evaluations++ - faults.worse_after_evals;
  const int64_t worse = faults.worse_after_evals >= 0 && evaluation >= 0 ? evaluation + 1 : 0;
  size_t target = 0;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    for (int32_t t = batch.starts[s] + 1; t < batch.starts[s + 1]; ++t) {
      if (batch.is_target[t] == 0) continue;
      const auto p = Probabilities(batch.tokens[t - 1], 1);
      const double loss = Target(batch.tokens[t - 1], batch.tokens[t], nullptr);
      scores.log_prob[target] = static_cast<float>(-loss - static_cast<double>(worse));
      if (!scores.best_log_prob.empty())
        scores.best_log_prob[target] = static_cast<float>(std::log(std::ranges::max(p)));
      ++target;
    }
  }
}

std::vector<int32_t> FakeLanguageLearner::Generate(std::span<const int32_t> prompt,
                                                   const nn::GenerateOptions& options) {
  Count();
  std::vector<int32_t> ids;
  int32_t before = prompt.back();
  core::Philox rng(options.seed, core::Role::kTest, options.index, 0);
  for (int64_t i = 0; i < options.tokens; ++i) {
    const auto p = Probabilities(before, std::max(1e-3, options.temperature));
    double left = rng.Uniform();
    before = 0;
    while (before + 1 < vocab_ && (left -= p[static_cast<size_t>(before)]) > 0) ++before;
    ids.push_back(before);
  }
  return ids;
}

void FakeLanguageLearner::WriteModel(const std::filesystem::path& folder) const {
  Count();
  core::ArrayMap arrays;
  arrays.Put<float>("weights", weights_, {vocab_, vocab_});
  core::WriteFileAtomic(folder / "model.safetensors", core::ToSafetensors(arrays));
  core::WriteFileAtomic(
      folder / "config.json",
      fmt::format("{{\"architectures\": [\"Bigram\"], \"vocab_size\": {}}}\n", vocab_));
}

std::unique_ptr<rlhf::LanguageModelLearner> MakeFakeLearner(const rlhf::LearnerRequest& request) {
  return std::make_unique<FakeLanguageLearner>(request);
}

}  // namespace pawl::train
