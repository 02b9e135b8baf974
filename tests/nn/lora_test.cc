// LoRA against recorded adapters of PEFT (tests/goldens/make_lora.py), and what its files refuse.
#include "nn/lora.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/file.h"
#include "nn/decoder.h"
#include "nn/lora_files.h"
#include "tests/nn/peft_golden.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;

class PeftParity : public testing::TestWithParam<PeftCase> {
 protected:
  std::unique_ptr<LanguageTrainer> Trainer(int64_t micro = 4096, int threads = 2) const {
    return MakeCpuTrainer(
        base_.layout, From(base_.weights),
        {.micro_batch_tokens = micro, .threads = threads, .adapter_folder = folder_.string()});
  }
  const PeftGolden peft_ = ReadPeftGolden(GetParam());
  const LanguageGolden& base_ = peft_.base;
  const fs::path& folder_ = peft_.folder;
  const core::ArrayMap& golden_ = peft_.arrays;
};
INSTANTIATE_TEST_SUITE_P(Cases, PeftParity, testing::ValuesIn(PeftCases()),
                         [](const auto& info) { return info.param.name; });

TEST_P(PeftParity, LogitsApartAndMergedAreThoseOfPeft) {
  kernels::Team team(2);
  DecoderWeights weights(base_.layout, ComputeType::kF32);
  std::copy(base_.weights.begin(), base_.weights.end(), weights.master().begin());
  const LoraWeights lora = ReadAdapter(folder_, *base_.layout, weights.master());
  const auto tokens = golden_.Get<int32_t>("tokens");
  const auto& shape = golden_.At("tokens").shape;
  std::vector<int32_t> positions;
  std::vector<DecoderSequence> sequences;
  for (int64_t b = 0; b < shape[0]; ++b) {
    sequences.push_back({.row = b * shape[1], .rows = shape[1]});
    for (int64_t i = 0; i < shape[1]; ++i) positions.push_back(static_cast<int32_t>(i));
  }
  const auto logits = [&](const LoraWeights* adapter) {
    Decoder decoder(base_.layout, shape[0] * shape[1], KeepActivations::kNothing, team);
    const DecoderModel model{.weights = weights, .lora = adapter};
    const float* hidden =
        decoder.Forward(model, {.tokens = tokens, .positions = positions, .sequences = sequences});
    std::vector<float> out(golden_.Get<float>("logits").size());
    HeadLogits(model, hidden, shape[0] * shape[1], out.data(), team);
    return out;
  };
  const auto expected = golden_.Get<float>("logits");
  EXPECT_LT(LargestDifference(logits(&lora), expected), 1e-4);
  EXPECT_GT(LargestDifference(logits(nullptr), expected), 1e-2);  // the adapter is of weight
  MergeLora(lora, *base_.layout, weights.master());
  EXPECT_LT(LargestDifference(logits(nullptr), expected), 1e-4);
}

TEST_P(PeftParity, LossAndEveryGradientAreThoseOfPeft) { ExpectPeftGradients(peft_, *Trainer()); }

TEST_P(PeftParity, TheGradientDoesNotDependOnMicroBatchesOrThreads) {
  const auto batch = GoldenSequences(golden_);
  std::vector<float> log_prob(CountTargets(batch.view()));
  std::vector<std::vector<float>> all;
  for (const auto& [micro, threads] : {std::pair{4096, 2}, {4096, 1}, {1, 3}}) {
    auto trainer = Trainer(micro, threads);
    trainer->Gradient(batch.view(), MeanLoss(10), log_prob, {});
    std::vector<float> values;
    for (const auto& gradient : trainer->Gradients())
      values.insert(values.end(), gradient.values.begin(), gradient.values.end());
    all.push_back(std::move(values));
  }
  const auto same = [](float a, float b) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
  };
  for (const auto& values : all) {
    EXPECT_TRUE(std::equal(all[0].begin(), all[0].end(), values.begin(), values.end(), same));
  }
}

TEST_P(PeftParity, StepsMoveTheAdapterOnlyAndWrittenFilesReadBackTheSame) {
  const auto batch = GoldenSequences(golden_);
  std::vector<float> log_prob(CountTargets(batch.view()));
  auto trainer = Trainer();
  for (int step = 1; step <= 3; ++step) {
    trainer->Gradient(batch.view(), MeanLoss(10), log_prob, {});
    trainer->Step({.learning_rate = 1e-2}, 1, step);
  }
  const auto folder = fs::path(testing::TempDir()) / fmt::format("lora_{}", GetParam().name);
  fs::create_directories(folder);
  WriteAdapter(folder, *trainer->Lora(), *base_.layout, trainer->Weights(), "language/base");
  std::string base;
  const LoraConfig config = ReadAdapterConfig(folder, &base);
  EXPECT_EQ(base, "language/base");
  EXPECT_EQ(config.rank, trainer->Lora()->layout().config().rank);
  std::vector<float> weights = base_.weights;
  const LoraWeights read = ReadAdapter(folder, *base_.layout, weights);
  EXPECT_EQ(LargestDifference(read.values(), trainer->Lora()->values()), 0);
  EXPECT_EQ(LargestDifference(weights, trainer->Weights()), 0);
  // frozen parameters did not move
  for (const ModelParameter& parameter : base_.layout->parameters()) {
    const auto& saved = read.layout().saved();
    if (std::any_of(saved.begin(), saved.end(),
                    [&](const auto* p) { return p->name == parameter.name; }))
      continue;
    EXPECT_EQ(LargestDifference({trainer->Weights().data() + parameter.offset, parameter.count},
                                {base_.weights.data() + parameter.offset, parameter.count}),
              0)
        << parameter.name;
  }
}

TEST(Lora, AFreshAdapterIsNothingAndItsGradientReachesB) {
  const LanguageGolden base = ReadLanguageGolden("qwen2");
  const auto batch = RandomSequences({20, 9}, base.layout->config().vocab, 3);
  std::vector<float> with(CountTargets(batch.view())), without(with.size());
  LoraConfig config;
  config.rank = 4;
  config.target_modules = {"all-linear"};
  auto adapted = MakeCpuTrainer(base.layout, From(base.weights), {.threads = 2, .lora = config});
  auto plain = MakeCpuTrainer(base.layout, From(base.weights), {.threads = 2});
  adapted->Gradient(batch.view(), MeanLoss(10), with, {});
  plain->Score(batch.view(), {without});
  EXPECT_EQ(LargestDifference(with, without), 0);
  EXPECT_EQ(adapted->Lora()->layout().adapters().size(),
            static_cast<size_t>(7 * base.layout->config().layers));
  for (const auto& [name, values] : adapted->Gradients()) {
    const bool any = std::any_of(values.begin(), values.end(), [](float g) { return g != 0; });
    EXPECT_EQ(any, name.ends_with("lora_B.weight")) << name;
  }
}

// PEFT's merge_and_unload of one matrix; GPT-2's files hold it transposed.
TEST_P(PeftParity, MergedWeightsArePefts) {
  const auto trainer = Trainer();
  std::vector<float> merged(base_.weights);
  MergeLora(*trainer->Lora(), *base_.layout, merged);
  int found = 0;
  for (const auto& adapter : trainer->Lora()->layout().adapters()) {
    const std::string name = "merged/" + adapter.module + ".weight";
    if (golden_.Find(name) == nullptr) continue;
    ++found;
    const auto expected = golden_.Get<float>(name);
    const bool transposed = GetParam().family == std::string("gpt2");
    ASSERT_EQ(expected.size(), static_cast<size_t>(adapter.in * adapter.out));
    for (int64_t o = 0; o < adapter.out; ++o) {
      for (int64_t i = 0; i < adapter.in; ++i) {
        const float theirs = expected[transposed ? i * adapter.out + o : o * adapter.in + i];
        const float ours = merged[adapter.weight + o * adapter.in + i];
        ASSERT_NEAR(ours, theirs, 1e-6 * Scale()) << name << " " << o << " " << i;
      }
    }
    EXPECT_NE(merged[adapter.weight], base_.weights[adapter.weight]);
  }
  EXPECT_EQ(found, 1);
}

// What a bad adapter folder says: one line that names the problem.
class BadAdapter : public testing::Test {
 protected:
  void SetUp() override {
    base_ = ReadLanguageGolden("llama");
    folder_ = fs::path(testing::TempDir()) /
              ("bad_adapter_" +
               std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
      fs::copy_file(GoldensFolder() / "lora/plain" / file, folder_ / file);
  }
  void Replace(const std::string& from, const std::string& to) {
    std::string text = core::ReadTextFile(folder_ / "adapter_config.json");
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    core::WriteFileAtomic(folder_ / "adapter_config.json", text.replace(at, from.size(), to));
  }
  std::string Message(const DecoderLayout& layout) {
    std::vector<float> weights(layout.size());
    try {
      ReadAdapter(folder_, layout, weights);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    return "";
  }
  LanguageGolden base_;
  fs::path folder_;
};

TEST_F(BadAdapter, UnknownKindsAreRefusedByName) {
  EXPECT_EQ(Message(*base_.layout), "");
  Replace("\"use_dora\": false", "\"use_dora\": true");
  EXPECT_THAT(Message(*base_.layout), testing::HasSubstr("use_dora"));
}
TEST_F(BadAdapter, AnInitialisationThatChangesTheBaseIsRefused) {
  for (const std::string good : {"false", "\"gaussian\"", "\"eva\"", "\"orthogonal\""}) {
    Replace("\"init_lora_weights\": true", "\"init_lora_weights\": " + good);
    EXPECT_EQ(Message(*base_.layout), "") << good;
    Replace("\"init_lora_weights\": " + good, "\"init_lora_weights\": true");
  }
  for (const std::string bad : {"pissa", "pissa_niter_4", "olora", "corda", "loftq", "mica"}) {
    Replace("\"init_lora_weights\": true", "\"init_lora_weights\": \"" + bad + "\"");
    EXPECT_THAT(Message(*base_.layout), testing::HasSubstr("'init_lora_weights' is \"" + bad));
    Replace("\"init_lora_weights\": \"" + bad + "\"", "\"init_lora_weights\": true");
  }
}
// Every switch of PEFT's LoraConfig (0.21) is read, or says nothing about the result, or is
// refused.
TEST_F(BadAdapter, EverySwitchThatChangesTheResultIsRefused) {
  const std::set<std::string> read = {"r",
                                      "lora_alpha",
                                      "use_rslora",
                                      "target_modules",
                                      "rank_pattern",
                                      "alpha_pattern",
                                      "modules_to_save",
                                      "fan_in_fan_out",
                                      "init_lora_weights",
                                      "peft_type"};
  const std::set<std::string> without_effect = {"auto_mapping",   "base_model_name_or_path",
                                                "revision",       "inference_mode",
                                                "peft_version",   "task_type",
                                                "lora_dropout",   "loftq_config",
                                                "corda_config",   "eva_config",
                                                "lora_ga_config", "qalora_group_size",
                                                "megatron_core",  "runtime_config"};
  const fs::path file = folder_ / "adapter_config.json";
  const auto original = nlohmann::json::parse(core::ReadTextFile(file));
  int refused = 0;
  for (const auto& [key, unused] : original.items()) {
    if (read.contains(key)) continue;
    auto changed = original;
    changed[key] = {1};
    core::WriteFileAtomic(file, changed.dump());
    const std::string message = Message(*base_.layout);
    if (without_effect.contains(key)) {
      EXPECT_EQ(message, "") << key;
    } else {
      EXPECT_THAT(message, testing::HasSubstr("'" + key + "' is [1]"));
      ++refused;
    }
  }
  EXPECT_GE(refused, 18);
}
TEST_F(BadAdapter, ValuesOfAnotherTypeAreRefused) {
  Replace("\"use_rslora\": false", "\"use_rslora\": 1");
  EXPECT_THAT(Message(*base_.layout), testing::HasSubstr("'use_rslora' is 1"));
  Replace("\"use_rslora\": 1", "\"use_rslora\": false");
  Replace("\"lora_alpha\": 8", "\"lora_alpha\": null");
  EXPECT_THAT(Message(*base_.layout), testing::HasSubstr("'lora_alpha' is null"));
}
TEST_F(BadAdapter, DeepNestingAndEndlessPatternsAreRefused) {
  const fs::path file = folder_ / "adapter_config.json";
  const std::string original = core::ReadTextFile(file);
  core::WriteFileAtomic(file, "{\"peft_type\": " + std::string(500'000, '['));
  EXPECT_NE(Message(*base_.layout), "");
  core::WriteFileAtomic(
      file, "{\"peft_type\": " + std::string(500'000, '[') + std::string(500'000, ']') + "}");
  EXPECT_THAT(Message(*base_.layout), testing::HasSubstr("nested more than"));
  auto json = nlohmann::json::parse(original);
  for (const std::string& pattern :
       {std::string(20'000, '(') + std::string(20'000, ')'), std::string("(.*)*(.*)*(.*)*(.*)*x"),
        std::string("(a|b|ab)*(?=c)+["), std::string("(.+.+.+.+.+.+)+!")}) {
    json["target_modules"] = pattern;
    core::WriteFileAtomic(file, json.dump());
    EXPECT_NE(Message(*base_.layout), "") << pattern.substr(0, 30);
  }
}
TEST_F(BadAdapter, ATargetThatIsNotThereIsNamedWithThoseThatAre) {
  Replace("\"down_proj\"\n", "\"c_attn\"\n");
  EXPECT_THAT(Message(*base_.layout),
              testing::AllOf(testing::HasSubstr("c_attn"), testing::HasSubstr("down_proj")));
}
TEST_F(BadAdapter, ARankThatIsNoNumber) {
  Replace("\"r\": 4", "\"r\": 0");
  EXPECT_THAT(Message(*base_.layout), testing::HasSubstr("'r' is 0"));
}
TEST_F(BadAdapter, AnAdapterOfAnotherBaseNamesEveryTensor) {
  const LanguageGolden other = ReadLanguageGolden("mistral");
  EXPECT_THAT(Message(*other.layout),
              testing::AllOf(testing::HasSubstr("v_proj.lora_B.weight is [32, 4]"),
                             testing::HasSubstr("trained for this base")));
}
TEST_F(BadAdapter, MissingAndSurplusTensorsAreNamedAtOnce) {
  Replace("\"v_proj\",", "\"k_proj\",");
  Replace("\"model.layers.1.self_attn.v_proj\"", "\"model.layers.1.self_attn.k_proj\"");
  EXPECT_THAT(Message(*base_.layout),
              testing::AllOf(testing::HasSubstr("missing"), testing::HasSubstr("surplus")));
}
TEST_F(BadAdapter, ADamagedFile) {
  fs::resize_file(folder_ / "adapter_model.safetensors", 100);
  EXPECT_THAT(Message(*base_.layout), testing::HasSubstr("adapter_model.safetensors"));
  core::WriteFileAtomic(folder_ / "adapter_config.json", std::string("{"));
  EXPECT_THAT(Message(*base_.layout), testing::HasSubstr("adapter_config.json"));
}

}  // namespace
}  // namespace pawl::nn
