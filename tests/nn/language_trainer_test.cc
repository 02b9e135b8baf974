// What every LanguageTrainer promises, whatever it runs on: the contract of language_trainer.h on
// the CPU kernels and on LibTorch. (Their numbers against each other: torch_trainer_test.cc.)
#include "nn/language_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "nn/torch_trainer.h"
#include "tests/nn/peft_golden.h"
#include "tests/nn/trainer_comparison.h"

namespace pawl::nn {
namespace {

// The message of the error that `action` throws, "" where it throws none.
template <class Action>
std::string ErrorOf(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

struct Implementation {
  const char* name;
  std::unique_ptr<LanguageTrainer> (*make)(const LanguageGolden&, const LanguageTrainerOptions&);
};
const Implementation kImplementations[] = {
    {"Cpu",
     [](const LanguageGolden& golden, const LanguageTrainerOptions& options) {
       return MakeCpuTrainer(golden.layout, From(golden.weights), options);
     }},
    {"Torch",
     [](const LanguageGolden& golden, const LanguageTrainerOptions& options) {
       return MakeTorchTrainer(golden.layout, From(golden.weights), options, "cpu");
     }},
};
void PrintTo(const Implementation& i, std::ostream* out) { *out << i.name; }

class TrainerContract
    : public testing::TestWithParam<std::tuple<Implementation, std::string /*family*/>> {
 protected:
  std::unique_ptr<LanguageTrainer> Make(const LanguageTrainerOptions& options) const {
    return std::get<0>(GetParam()).make(golden_, options);
  }
  const LanguageGolden golden_ = ReadLanguageGolden(std::get<1>(GetParam()));
};
INSTANTIATE_TEST_SUITE_P(All, TrainerContract,
                         testing::Combine(testing::ValuesIn(kImplementations),
                                          testing::Values("qwen2", "gpt2", "gemma3")),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + std::get<1>(info.param);
                         });

TEST_P(TrainerContract, TheFirstParameterWithoutAFiniteGradientIsNamed) {
  for (const auto& lora : {std::optional<LoraConfig>(), std::optional(AllLinears())}) {
    const auto trainer = Make({.lora = lora});
    const OwnedSequences batch = MixedBatch(golden_, 1);
    AllGradients(*trainer, batch);
    EXPECT_TRUE(std::isfinite(trainer->GradientNorm()));
    EXPECT_EQ(trainer->NonFiniteGradient(), "");
    std::vector<float> log_prob(CountTargets(batch.view()));
    trainer->Gradient(batch.view(), MeanLoss(0), log_prob, {});
    EXPECT_FALSE(std::isfinite(trainer->GradientNorm()));
    EXPECT_EQ(trainer->NonFiniteGradient(), trainer->Gradients().front().name);
  }
}

TEST_P(TrainerContract, TheLastGradientAloneCounts) {
  const auto trainer = Make({});
  AllGradients(*trainer, MixedBatch(golden_, 5));
  const OwnedSequences batch = MixedBatch(golden_, 6);
  EXPECT_EQ(AllGradients(*trainer, batch), AllGradients(*Make({}), batch));
}

// After a step and after a load: nothing of the weights before may be left over.
TEST_P(TrainerContract, GeneratesAndScoresFromTheWeightsItHasNow) {
  const std::vector<int32_t> prompt = {3, 1, 4};
  const OwnedSequences batch = MixedBatch(golden_, 9);
  for (const auto compute : {ComputeType::kF32, ComputeType::kBf16}) {
    for (const auto& lora : {std::optional<LoraConfig>(), std::optional(AllLinears())}) {
      const auto trainer = Make({.compute = compute, .lora = lora});
      const auto generate = [&](LanguageTrainer& from) {
        return from.Generate(prompt, {.tokens = 20});
      };
      const auto score = [&](LanguageTrainer& from) {
        std::vector<float> log_prob(CountTargets(batch.view()));
        from.Score(batch.view(), log_prob, {});
        return log_prob;
      };
      core::ArrayMap start;
      trainer->Save(start);
      const auto kept = core::FromSafetensors(core::ToSafetensors(start), "start");
      const auto before = generate(*trainer);
      const auto scored_before = score(*trainer);
      for (int64_t step = 1; step <= 3; ++step) {
        AllGradients(*trainer, MixedBatch(golden_, 8));
        trainer->Step({.learning_rate = 0.3}, 1, step);
        if (step == 2) generate(*trainer);  // what it packed is not the next step's
      }
      core::ArrayMap saved;
      trainer->Save(saved);
      const auto fresh = Make({.compute = compute, .lora = lora, .evaluate_only = true});
      fresh->Load(saved);
      const auto after = generate(*trainer);
      EXPECT_NE(after, before);
      EXPECT_EQ(after, generate(*fresh));
      EXPECT_NE(score(*trainer), scored_before);
      EXPECT_EQ(score(*trainer), score(*fresh));
      trainer->Load(kept);
      EXPECT_EQ(generate(*trainer), before);
      EXPECT_EQ(score(*trainer), scored_before);
    }
  }
}

TEST_P(TrainerContract, OneMadeForEvaluationScoresGeneratesAndLoadsOnly) {
  const OwnedSequences batch = MixedBatch(golden_, 3);
  const auto learner = Make({}), evaluator = Make({.evaluate_only = true});
  std::vector<float> expected(CountTargets(batch.view())), scored(expected.size());
  AllGradients(*learner, batch);
  learner->Step({.learning_rate = 1e-2}, 1, 1);
  core::ArrayMap saved, none;
  learner->Save(saved);
  evaluator->Load(saved);
  learner->Score(batch.view(), expected, {});
  evaluator->Score(batch.view(), scored, {});
  EXPECT_EQ(scored, expected);
  const char* refused = "made for evaluation alone";
  const auto expect_refused = [&](const auto& action) {
    EXPECT_THAT(ErrorOf(action), testing::HasSubstr(refused));
  };
  expect_refused([&] { evaluator->Gradient(batch.view(), MeanLoss(1), scored, {}); });
  expect_refused([&] { evaluator->Gradients(); });
  expect_refused([&] { evaluator->GradientNorm(); });
  expect_refused([&] { evaluator->NonFiniteGradient(); });
  expect_refused([&] { evaluator->Step({}, 1, 1); });
  expect_refused([&] { evaluator->Save(none); });
}

TEST_P(TrainerContract, TokensOutsideTheVocabularyAreRefused) {
  const auto vocab = static_cast<int32_t>(golden_.layout->config().vocab);
  for (const int32_t id : {vocab, -1}) {
    for (const size_t at : {size_t{1}, size_t{3}}) {  // one that is read, one only predicted
      OwnedSequences batch;
      std::vector<int32_t> tokens = {1, 2, 3, 4};
      batch.Add(tokens, /*prompt=*/3);
      tokens[at] = id;
      batch.Add(tokens, /*prompt=*/3);
      std::vector<float> log_prob(2);
      const auto trainer = Make({.micro_batch_tokens = 1});
      const std::string expected = fmt::format(
          "token {} of a batch has id {}, the model's vocabulary is {}", 4 + at, id, vocab);
      EXPECT_THAT(ErrorOf([&] { trainer->Score(batch.view(), log_prob, {}); }),
                  testing::HasSubstr(expected));
      EXPECT_THAT(ErrorOf([&] { trainer->Gradient(batch.view(), MeanLoss(1), log_prob, {}); }),
                  testing::HasSubstr(expected));
      EXPECT_THAT(log_prob, testing::Each(0.0f));  // before any work
    }
    EXPECT_THAT(ErrorOf([&] {
                  Make({})->Generate(std::vector<int32_t>{1, id}, {.tokens = 1});
                }),
                testing::HasSubstr(fmt::format("token 1 of a prompt has id {}", id)));
  }
}

TEST_P(TrainerContract, PositionsBeyondALearnedTableAreRefused) {
  const ModelConfig& config = golden_.layout->config();
  for (const int64_t rows : {config.max_positions, config.max_positions + 1}) {
    // the last token is only predicted
    OwnedSequences batch = RandomSequences({3, rows + 1}, config.vocab, 1);
    std::vector<float> log_prob(CountTargets(batch.view()));
    const auto trainer = Make({});
    const bool fits = rows <= config.max_positions || !config.learned_positions;
    for (const std::string& error :
         {ErrorOf([&] { trainer->Score(batch.view(), log_prob, {}); }),
          ErrorOf([&] { trainer->Gradient(batch.view(), MeanLoss(1), log_prob, {}); })}) {
      EXPECT_EQ(error.empty(), fits) << error;
      if (!fits) {
        EXPECT_THAT(error, testing::HasSubstr("positions of sequence 1"));
      }
    }
  }
}

TEST_P(TrainerContract, BatchesThatContradictThemselvesAreRefused) {
  const auto trainer = Make({});
  std::vector<float> log_prob(8);
  const auto refused = [&](const OwnedSequences& batch) {
    return !ErrorOf([&] { trainer->Score(batch.view(), log_prob, {}); }).empty();
  };
  OwnedSequences good;
  good.Add({1, 2, 3});
  good.Add({4, 5});
  EXPECT_FALSE(refused(good));
  OwnedSequences batch = good;
  batch.starts = {0, 1000, 5};
  EXPECT_TRUE(refused(batch));
  batch.starts = {0, 4, 3, 5};
  EXPECT_TRUE(refused(batch));
  batch.starts = {0, 3, 4};
  EXPECT_TRUE(refused(batch));
  batch = good;
  batch.is_target[3] = 1;  // nothing before it
  EXPECT_TRUE(refused(batch));
  batch = good;
  batch.is_target.pop_back();
  EXPECT_TRUE(refused(batch));
}

}  // namespace
}  // namespace pawl::nn
