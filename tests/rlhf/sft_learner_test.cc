// The learner of the language stages against PyTorch's recorded training, against a trainer driven
// by hand, and against itself after a resume.
#include "rlhf/sft_learner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/file.h"
#include "core/float_types.h"
#include "nn/lora_files.h"
#include "nn/model_families.h"
#include "nn/model_files.h"
#include "tests/nn/peft_golden.h"
#include "tests/nn/training_golden.h"

namespace pawl::rlhf {
namespace {
namespace fs = std::filesystem;
using nn::OwnedSequences;
using nn::TrainingGoldenCase;
using nn::TrainingResult;

rollout::SequenceBatch ViewOf(const OwnedSequences& batch) { return {batch.view()}; }

bool SameBits(std::span<const float> a, std::span<const float> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y);
  });
}

double ValueOf(const algos::UpdateMetrics& metrics, const std::string& name) {
  for (const auto& [key, value] : metrics) {
    if (key == name) return value;
  }
  ADD_FAILURE() << "no metric " << name;
  return 0;
}

std::vector<float> Copy(std::span<const float> values) { return {values.begin(), values.end()}; }

// Everything that Save gives, as the bytes of a file.
std::vector<std::byte> StateOf(const LanguageModelLearner& learner) {
  core::ArrayMap arrays;
  learner.Save(arrays);
  return core::ToSafetensors(arrays);
}

std::string ErrorOf(const LearnerRequest& request) {
  try {
    MakeSftLearner(request);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

fs::path FreshFolder(const std::string& name) {
  const fs::path folder = fs::path(testing::TempDir()) / ("sft_learner_" + name);
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

LearnerRequest RequestFor(const std::string& family) {
  LearnerRequest request;
  request.model.path = (GoldensFolder() / "language" / family).string();
  request.train.learning_rate = 3e-3;  // as make_training.py has it
  request.train.min_learning_rate = 3e-4;
  request.train.warmup_updates = 2;
  request.train.schedule = Schedule::kLinear;
  request.train.threads = 2;
  request.total_updates = 10;
  request.context = 20;
  return request;
}

// What a learner is trained as: all weights, or an adapter, in either arithmetic.
struct Kind {
  const char* name;
  LearnDtype dtype = LearnDtype::kFloat32;
  int64_t lora_rank = 0;
};
LearnerRequest RequestFor(const std::string& family, const Kind& kind) {
  LearnerRequest request = RequestFor(family);
  request.train.dtype = kind.dtype;
  request.lora.rank = kind.lora_rank;
  return request;
}
constexpr Kind kKinds[] = {
    {.name = "float32"},
    {.name = "bfloat16", .dtype = LearnDtype::kBfloat16},
    {.name = "lora", .lora_rank = 3},
    {.name = "bfloat16 lora", .dtype = LearnDtype::kBfloat16, .lora_rank = 3},
};

class SftLearner : public testing::TestWithParam<std::string> {
 protected:
  algos::UpdateMetrics Update(LanguageModelLearner& learner, int64_t update) const {
    return learner.Update(ViewOf(golden_.Batch(update)), update,
                          static_cast<double>(update) / static_cast<double>(golden_.steps()));
  }
  TrainingResult Train(LanguageModelLearner& learner) const {
    TrainingResult result;
    for (int64_t update = 0; update < golden_.steps(); ++update) {
      const auto metrics = Update(learner, update);
      result.loss.push_back(ValueOf(metrics, "loss"));
      result.grad_norm.push_back(ValueOf(metrics, "grad_norm"));
    }
    result.weights = Copy(learner.Weights());
    return result;
  }
  LossSum Evaluate(LanguageModelLearner& learner) const {
    return learner.Evaluate(ViewOf(golden_.Batch(0)));
  }
  const TrainingGoldenCase golden_ = nn::ReadTrainingGolden(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Families, SftLearner, testing::Values("llama3", "gpt2"),
                         [](const auto& info) { return info.param; });

TEST_P(SftLearner, LossesNormsRatesAndWeightsAreThoseOfPyTorch) {
  const LearnerRequest request = RequestFor(GetParam());
  const auto rates = golden_.arrays.Get<double>("learning_rate");
  ASSERT_EQ(golden_.steps(), request.total_updates);
  for (int64_t update = 0; update < golden_.steps(); ++update) {
    EXPECT_NEAR(LearningRateAt(request.train, update, request.total_updates), rates[update], 1e-15);
  }
  const auto learner = MakeSftLearner(request);
  nn::ExpectTrainingGolden(golden_, Train(*learner));
}

// The optimizer's settings, one by one: each differs from its default, some norms are clipped and
// some are not.
TEST_P(SftLearner, AnUpdateIsATrainersGradientAndStepWithTheConfigsSettings) {
  for (const Kind& kind : kKinds) {
    LearnerRequest request = RequestFor(GetParam(), kind);
    request.seed = 7;
    request.train.beta1 = 0.8;
    request.train.beta2 = 0.9;
    request.train.epsilon = 1e-3;
    request.train.weight_decay = 0.5;
    std::vector<double> norms;
    {  // a bound in the middle of the norms
      const auto probe = MakeSftLearner(request);
      norms = Train(*probe).grad_norm;
      std::sort(norms.begin(), norms.end());
    }
    for (const double bound : {0.0, norms[norms.size() / 2]}) {
      request.train.max_grad_norm = bound;
      const auto learner = MakeSftLearner(request);
      nn::LanguageTrainerOptions options{.threads = 1, .seed = 7};
      if (kind.dtype == LearnDtype::kBfloat16) options.compute = nn::ComputeType::kBf16;
      if (kind.lora_rank > 0) {
        options.lora.emplace();
        options.lora->rank = kind.lora_rank;
        options.lora->alpha = 16;
        options.lora->target_modules = {"all-linear"};
      }
      const auto trainer =
          nn::MakeCpuTrainer(golden_.model.layout, nn::From(golden_.model.weights), options);
      int clipped = 0;
      for (int64_t update = 0; update < golden_.steps(); ++update) {
        const OwnedSequences batch = golden_.Batch(update);
        std::vector<float> log_prob(nn::CountTargets(batch.view()));
        trainer->Gradient(batch.view(), nn::MeanLoss(static_cast<double>(log_prob.size())),
                          log_prob, {});
        const double norm = trainer->GradientNorm();
        const bool clips = bound > 0 && norm > bound;
        clipped += clips;
        const double rate = LearningRateAt(request.train, update, request.total_updates);
        trainer->Step({.learning_rate = rate,
                       .beta1 = 0.8,
                       .beta2 = 0.9,
                       .epsilon = 1e-3,
                       .weight_decay = 0.5},
                      clips ? static_cast<float>(bound / norm) : 1.0f, update + 1);
        const auto metrics = Update(*learner, update);
        EXPECT_EQ(ValueOf(metrics, "grad_norm"), norm) << kind.name << update;
        EXPECT_EQ(ValueOf(metrics, "learning_rate"), rate) << kind.name << update;
        EXPECT_EQ(ValueOf(metrics, "loss"),
                  -std::accumulate(log_prob.begin(), log_prob.end(), 0.0) /
                      static_cast<double>(log_prob.size()))
            << kind.name << update;
      }
      if (bound > 0) {
        EXPECT_GT(clipped, 0) << kind.name;
        EXPECT_LT(clipped, golden_.steps()) << kind.name;
      }
      core::ArrayMap by_hand;
      trainer->Save(by_hand);
      EXPECT_EQ(StateOf(*learner), core::ToSafetensors(by_hand)) << kind.name << bound;
    }
  }
}

TEST_P(SftLearner, SavedInTheMiddleAndLoadedElsewhereItGoesOnBitForBit) {
  for (const Kind& kind : kKinds) {
    const LearnerRequest request = RequestFor(GetParam(), kind);
    const auto a = MakeSftLearner(request);
    for (int64_t update = 0; update < 4; ++update) Update(*a, update);
    const auto saved = core::FromSafetensors(StateOf(*a), "state");
    LearnerRequest elsewhere = request;
    elsewhere.seed = 99;  // of a fresh adapter
    elsewhere.train.threads = 1;
    elsewhere.train.micro_batch_tokens = 1;
    const auto b = MakeSftLearner(elsewhere);
    Update(*b, 9);  // not a fresh one
    b->Load(saved);
    for (int64_t update = 4; update < golden_.steps(); ++update) {
      const auto expected = Update(*a, update), found = Update(*b, update);
      for (const char* name : {"loss", "grad_norm", "learning_rate"})
        EXPECT_EQ(ValueOf(found, name), ValueOf(expected, name)) << kind.name << update;
    }
    EXPECT_EQ(StateOf(*b), StateOf(*a)) << kind.name;
    EXPECT_EQ(Evaluate(*b).loss_sum, Evaluate(*a).loss_sum) << kind.name;
    const nn::GenerateOptions draws{.tokens = 20};
    EXPECT_EQ(b->Generate(std::vector<int32_t>{3, 4}, draws),
              a->Generate(std::vector<int32_t>{3, 4}, draws))
        << kind.name;
  }
}

// The loss where an infinity is reached, the gradient where only its backward sees one.
TEST_P(SftLearner, ANumberThatIsNotFiniteStopsTheUpdateAndMovesNothing) {
  for (const Kind& kind : kKinds) {
    const auto learner = MakeSftLearner(RequestFor(GetParam(), kind));
    for (int64_t update = 0; update < 2; ++update) Update(*learner, update);
    // of the first array of weights that is trained: an embedding, or an adapter's A
    const auto bytes = StateOf(*learner);
    const auto saved = core::FromSafetensors(bytes, "state");
    core::ArrayMap broken;
    bool done = false;
    for (const auto& array : saved.arrays()) {
      auto values = Copy(saved.Get<float>(array.name));
      const bool here = !done && array.name.starts_with("weight/") && array.shape.size() == 2;
      if (here) {
        std::fill(values.begin(), values.end(), std::numeric_limits<float>::infinity());
        done = true;
      }
      broken.Put<float>(array.name, values, array.shape);
    }
    ASSERT_TRUE(done);
    learner->Load(broken);
    const auto weights = Copy(learner->Weights());
    try {
      Update(*learner, 2);
      ADD_FAILURE() << kind.name << ": no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("the loss of update 2 is not finite"));
      EXPECT_EQ(error.exit_code(), 1);
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
    EXPECT_TRUE(SameBits(learner->Weights(), weights)) << kind.name;
    // such weights are written nowhere
    try {
      StateOf(*learner);
      ADD_FAILURE() << kind.name << ": saved";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("not finite"));
    }
    const fs::path nowhere = FreshFolder(GetParam());
    EXPECT_THROW(learner->WriteModel(nowhere), Error);
    EXPECT_TRUE(!fs::exists(nowhere) || fs::is_empty(nowhere));
    EXPECT_FALSE(std::isfinite(Evaluate(*learner).loss_sum)) << kind.name;
    // what was saved before still serves
    learner->Load(saved);
    Update(*learner, 2);
    EXPECT_TRUE(std::isfinite(Evaluate(*learner).loss_sum)) << kind.name;
  }
}

TEST_P(SftLearner, AModelThatItWritesReadsBackToTheSameEvaluation) {
  LearnerRequest request = RequestFor(GetParam());
  const auto learner = MakeSftLearner(request);
  Train(*learner);
  const fs::path folder = FreshFolder(GetParam());
  learner->WriteModel(folder);
  request.model.path = folder.string();
  request.evaluate_only = true;
  const auto read = MakeSftLearner(request);
  EXPECT_TRUE(SameBits(read->Weights(), learner->Weights()));
  const LossSum expected = Evaluate(*learner), found = Evaluate(*read);
  EXPECT_EQ(found.loss_sum, expected.loss_sum);
  EXPECT_EQ(found.targets, expected.targets);
  EXPECT_EQ(found.targets, nn::CountTargets(golden_.Batch(0).view()));
  // one made for evaluation takes the weights out of a training state
  request.model.path = RequestFor(GetParam()).model.path;
  const auto loaded = MakeSftLearner(request);
  EXPECT_NE(Evaluate(*loaded).loss_sum, expected.loss_sum);
  loaded->Load(core::FromSafetensors(StateOf(*learner), "state"));
  EXPECT_EQ(Evaluate(*loaded).loss_sum, expected.loss_sum);
}

TEST_P(SftLearner, TheSavedDtypeRoundsTheFilesAndTheLearningDtypeTheArithmetic) {
  const struct {
    SavedDtype dtype;
    const char* name;
  } table[] = {{SavedDtype::kModel, "float32"},
               {SavedDtype::kFloat32, "float32"},
               {SavedDtype::kBfloat16, "bfloat16"},
               {SavedDtype::kFloat16, "float16"}};
  for (const auto& row : table) {
    LearnerRequest request = RequestFor(GetParam());
    request.model.dtype = row.dtype;
    const auto learner = MakeSftLearner(request);
    EXPECT_THAT(learner->info().description, testing::HasSubstr(", float32"));
    const fs::path folder = FreshFolder(GetParam() + row.name);
    learner->WriteModel(folder);
    EXPECT_EQ(nn::ReadModelConfig(folder).dtype, row.name);
    request.model.path = folder.string();
    request.model.dtype = SavedDtype::kModel;
    const auto read = MakeSftLearner(request);
    // both formats keep 8 bits or more; subnormal halves are off by up to 2^-25
    for (size_t i = 0; i < read->Weights().size(); ++i) {
      const double w = learner->Weights()[i];
      ASSERT_NEAR(read->Weights()[i], w, std::fabs(w) / 256 + std::ldexp(1, -25)) << row.name;
    }
    EXPECT_EQ(SameBits(read->Weights(), learner->Weights()), row.name == std::string("float32"));
  }
  LearnerRequest request = RequestFor(GetParam());
  request.train.dtype = LearnDtype::kBfloat16;
  const auto learner = MakeSftLearner(request);
  EXPECT_THAT(learner->info().description, testing::HasSubstr(", bfloat16"));
  EXPECT_TRUE(SameBits(learner->Weights(), golden_.model.weights));  // the masters
  const auto loss = golden_.arrays.Get<double>("loss");
  const double first = ValueOf(Update(*learner, 0), "loss");
  EXPECT_NE(static_cast<float>(first), static_cast<float>(loss[0]));
  EXPECT_NEAR(first, loss[0], 0.05 * loss[0]);
}

TEST_P(SftLearner, WhatIsNoModelIsRefusedInOneLine) {
  LearnerRequest request = RequestFor(GetParam());
  request.model.path += "/nothing";
  EXPECT_THAT(ErrorOf(request), testing::HasSubstr("nothing"));
}

class SftLearnerPeft : public testing::TestWithParam<nn::PeftCase> {};
INSTANTIATE_TEST_SUITE_P(Cases, SftLearnerPeft, testing::ValuesIn(nn::PeftCases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(SftLearnerPeft, AnAdapterGoesOnFromItsFolderAndIsWrittenWithItsBase) {
  const nn::PeftGolden golden = nn::ReadPeftGolden(GetParam());
  LearnerRequest request = RequestFor(GetParam().family);
  request.lora.path = golden.folder.string();
  request.lora.rank = nn::ReadAdapterConfig(golden.folder).rank;
  const auto learner = MakeSftLearner(request);
  EXPECT_LT(learner->info().trained_parameters, learner->info().parameters);
  const OwnedSequences batch = nn::GoldenSequences(golden.arrays);
  const auto metrics = learner->Update(ViewOf(batch), 0, 0);
  EXPECT_NEAR(ValueOf(metrics, "loss"), golden.arrays.GetScalar<float>("loss"), 2e-5 * nn::Scale());
  double squares = 0;
  for (const auto& array : golden.arrays.arrays()) {
    if (!array.name.starts_with("grad/")) continue;
    for (const float g : golden.arrays.Get<float>(array.name)) squares += double{g} * g;
  }
  ASSERT_GT(squares, 0);
  EXPECT_NEAR(ValueOf(metrics, "grad_norm") / std::sqrt(squares), 1, 2e-5 * nn::Scale());
  // the step moves what the folder is written with
  const fs::path folder = FreshFolder(std::string("peft_") + GetParam().name);
  learner->WriteModel(folder);
  std::string base;
  nn::ReadAdapterConfig(folder, &base);
  EXPECT_EQ(base, request.model.path);
  request.lora.path = folder.string();
  request.evaluate_only = true;
  const double trained = learner->Evaluate(ViewOf(batch)).loss_sum;
  EXPECT_EQ(MakeSftLearner(request)->Evaluate(ViewOf(batch)).loss_sum, trained);
  request.lora.path = golden.folder.string();
  EXPECT_NE(MakeSftLearner(request)->Evaluate(ViewOf(batch)).loss_sum, trained);
}

TEST(SftLearnerNew, AModelOfEveryFamilyLearnsAndReadsBack) {
  for (const auto& family : nn::kFamilies) {
    SCOPED_TRACE(family.model_type);
    LearnerRequest request;
    request.model.family = family.family;
    request.model.width = 32;
    request.model.layers = 7;  // Gemma 3's sixth sees everything
    request.model.heads = 2;
    request.model.kv_heads = family.family == nn::ModelFamily::kGpt2 ? 0 : 1;
    const bool slides =
        family.family == nn::ModelFamily::kMistral || family.family == nn::ModelFamily::kGemma3;
    request.model.sliding_window = slides ? 5 : 0;
    request.train.learning_rate = 1e-2;
    request.train.warmup_updates = 0;
    request.train.threads = 2;
    request.total_updates = 8;
    request.context = 16;
    request.tokenizer_vocab = 40;
    request.eos_ids = {3};
    const auto learner = MakeSftLearner(request);
    EXPECT_EQ(learner->info().vocab, 40);
    EXPECT_EQ(learner->info().max_positions, 16);
    EXPECT_EQ(learner->info().eos_ids, (std::vector<int32_t>{3}));
    const OwnedSequences batch = nn::RandomSequences({17, 9, 12}, 40, 1);
    std::vector<double> losses;
    for (int64_t update = 0; update < request.total_updates; ++update)
      losses.push_back(ValueOf(learner->Update(ViewOf(batch), update, 0), "loss"));
    // of small weights all tokens are as likely at first
    EXPECT_NEAR(losses[0], std::log(40.0), 0.2);
    EXPECT_LT(losses.back(), losses[0] - 0.2);
    const fs::path folder = FreshFolder(family.model_type);
    learner->WriteModel(folder);
    LearnerRequest again;
    again.model.path = folder.string();
    again.train.threads = 1;
    const auto read = MakeSftLearner(again);
    EXPECT_EQ(read->info().parameters, learner->info().parameters);
    EXPECT_EQ(read->info().eos_ids, learner->info().eos_ids);
    EXPECT_EQ(read->Evaluate(ViewOf(batch)).loss_sum, learner->Evaluate(ViewOf(batch)).loss_sum);
    const nn::ModelConfig config = nn::ReadModelConfig(folder);
    EXPECT_EQ(config.heads, 2);
    EXPECT_EQ(config.window(0), slides ? 5 : 0);
    EXPECT_EQ(config.window(5), family.family == nn::ModelFamily::kMistral ? 5 : 0);
    // another seed, another model
    request.seed = 2;
    EXPECT_FALSE(SameBits(MakeSftLearner(request)->Weights(), learner->Weights()));
  }
}

}  // namespace
}  // namespace pawl::rlhf
