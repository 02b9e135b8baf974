// The sections of a language config that a learner is made from: the model, the optimizer, LoRA.
// Read by train/language_config.h; plain values.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"
#include "nn/model_config.h"

namespace pawl::rlhf {

enum class SavedDtype : uint8_t { kModel, kFloat32, kBfloat16, kFloat16 };
enum class LearnDtype : uint8_t { kFloat32, kBfloat16 };
enum class Schedule : uint8_t { kConstant, kLinear, kCosine };

// [model]: a folder to start from, or a new model by its sizes. The sizes have no meaning beside a
// folder and must be left alone there.
struct ModelSection {
  std::string path;
  nn::ModelFamily family = nn::ModelFamily::kLlama;
  int64_t width = 128, layers = 4, heads = 4, kv_heads = 0, head_dim = 0, intermediate = 0;
  int64_t vocab = 0, positions = 0;
  bool tied = true;
  SavedDtype dtype = SavedDtype::kModel;
  double rope_theta = 10'000, norm_epsilon = 1e-5;
  int64_t sliding_window = 0;
  double init_std = 0.02;
  template <class V>
  void Visit(V& v) {
    v.Field("path", path,
            {.help = "Hugging Face folder to start from; empty = a new model of the sizes below"});
    v.Field("family", family, {.help = "architecture of a new model, and of its config.json"});
    v.Field("width", width, {.help = "hidden size", .min = 1, .max = 65536});
    v.Field("layers", layers, {.help = "number of layers", .min = 1, .max = 1024});
    v.Field("heads", heads, {.help = "attention heads", .min = 1, .max = 1024});
    v.Field("kv_heads", kv_heads,
            {.help = "heads of keys and values; 0 = as many as heads", .min = 0, .max = 1024});
    v.Field("head_dim", head_dim,
            {.help = "width of a head; 0 = width / heads", .min = 0, .max = 1024});
    v.Field("intermediate", intermediate,
            {.help = "width of the feed-forward part; 0 = the family's usual multiple of width "
                     "(gated: 8/3 rounded up to 32; else 4)",
             .min = 0,
             .max = 1'000'000});
    v.Field("vocab", vocab,
            {.help = "size of the vocabulary; 0 = the tokenizer's", .min = 0, .max = 1'000'000});
    v.Field("positions", positions,
            {.help = "longest sequence of a new model; 0 = data.context",
             .min = 0,
             .max = 10'000'000,
             .unit = "tokens"});
    v.Field("tied", tied, {.help = "the output head is the token embedding"});
    v.Field("dtype", dtype,
            {.help = "of the weights as they are saved; model = as in the folder it started from, "
                     "float32 for a new one"});
    v.Field("rope_theta", rope_theta, {.help = "base of the rotary positions", .min = 1});
    v.Field("norm_epsilon", norm_epsilon, {.help = "added to a norm's variance", .min = 0});
    v.Field("sliding_window", sliding_window,
            {.help = "keys that a sliding layer sees (mistral, gemma3); 0 = all", .min = 0});
    v.Field("init_std", init_std,
            {.help = "standard deviation of a new model's matrices; projections into the residual "
                     "stream get it divided by sqrt(2 layers)",
             .min = 0,
             .max = 1});
  }
};

// [train]: the optimizer (AdamW, Loshchilov and Hutter 2019) and how an update is computed.
struct SftConfig {
  int64_t sequences = 12;
  int64_t micro_batch_tokens = 0;
  double learning_rate = 1e-3, min_learning_rate = 0;
  Schedule schedule = Schedule::kCosine;
  int64_t warmup_updates = 0;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double weight_decay = 0.1;
  double max_grad_norm = 1;
  LearnDtype dtype = LearnDtype::kFloat32;
  bool activation_checkpointing = false;
  int threads = 0;
  template <class V>
  void Visit(V& v) {
    v.Field("sequences", sequences, {.help = "sequences of an update", .min = 1, .max = 1'000'000});
    v.Field("micro_batch_tokens", micro_batch_tokens,
            {.help = "tokens computed at a time, at least one sequence; 0 = chosen by memory; same "
                     "results for any",
             .min = 0,
             .unit = "tokens"});
    v.Field("learning_rate", learning_rate,
            {.help = "AdamW's step size after the warm-up", .min = 0, .max = 1e30});
    v.Field("min_learning_rate", min_learning_rate,
            {.help = "step size at the end of a linear or cosine schedule", .min = 0, .max = 1e30});
    v.Field("schedule", schedule, {.help = "how the step size falls after the warm-up"});
    v.Field("warmup_updates", warmup_updates,
            {.help = "updates over which the step size rises linearly to learning_rate", .min = 0});
    v.Field("beta1", beta1, {.help = "decay of the gradient's mean", .min = 0, .max = 0.999999});
    v.Field("beta2", beta2, {.help = "decay of the gradient's square", .min = 0, .max = 0.999999});
    v.Field("epsilon", epsilon,
            {.help = "added to the root of the square", .min = 1e-30, .max = 1});
    v.Field("weight_decay", weight_decay,
            {.help = "decoupled decay of matrices and embeddings; norms and biases have none",
             .min = 0,
             .max = 1e30});
    v.Field("max_grad_norm", max_grad_norm,
            {.help = "bound of the gradient's norm over all parameters; 0 = none", .min = 0});
    v.Field("dtype", dtype,
            {.help = "of the computation; the optimizer's weights are always float32"});
    v.Field("activation_checkpointing", activation_checkpointing,
            {.help = "compute each layer twice instead of keeping its activations"});
    v.Field("threads", threads,
            {.help = "of the learner; 0 = one per core; same results for any number",
             .min = 0,
             .max = 1024});
  }
};

// [lora]: low-rank adapters (Hu et al. 2021) instead of all weights.
struct LoraConfig {
  int64_t rank = 0;
  double alpha = 16, dropout = 0;
  std::vector<std::string> target_modules = {"all-linear"};
  std::string target_regex;
  std::vector<std::string> modules_to_save;
  bool use_rslora = false;
  std::string path;
  template <class V>
  void Visit(V& v) {
    v.Field("rank", rank,
            {.help = "rank of the adapters; 0 = train all weights", .min = 0, .max = 4096});
    v.Field("alpha", alpha, {.help = "scale: alpha / rank", .min = 0});
    v.Field("dropout", dropout,
            {.help = "must be 0: repeatable runs have no dropout", .min = 0, .max = 0});
    v.Field("target_modules", target_modules,
            {.help = "ends of the names of linear layers that get an adapter, or all-linear"});
    v.Field("target_regex", target_regex,
            {.help = "instead: a regular expression of whole names; empty = target_modules"});
    v.Field("modules_to_save", modules_to_save,
            {.help = "embedding, head or norms that are trained whole and saved with the adapter"});
    v.Field("use_rslora", use_rslora, {.help = "scale alpha / sqrt(rank) (Kalajdzievski 2023)"});
    v.Field("path", path,
            {.help = "PEFT adapter folder to go on with, beside which the other keys are not set; "
                     "empty = new ones"});
  }
};

// The step size of update `update` (from 0): learning_rate (update + 1) / (warmup + 1) during the
// warm-up, then falling to min_learning_rate at total_updates (nanoGPT's schedule).
double LearningRateAt(const SftConfig& config, int64_t update, int64_t total_updates);
// What the three sections demand of each other and of themselves; throws UserError.
void CheckLearnConfig(const ModelSection& model, const SftConfig& train, const LoraConfig& lora);

}  // namespace pawl::rlhf

template <>
struct pawl::core::EnumNames<pawl::nn::ModelFamily> {
  using F = pawl::nn::ModelFamily;
  static constexpr std::pair<const char*, F> kTable[] = {
      {"llama", F::kLlama}, {"mistral", F::kMistral}, {"qwen2", F::kQwen2},
      {"qwen3", F::kQwen3}, {"gpt2", F::kGpt2},       {"gemma3", F::kGemma3}};
};
template <>
struct pawl::core::EnumNames<pawl::rlhf::SavedDtype> {
  using D = pawl::rlhf::SavedDtype;
  static constexpr std::pair<const char*, D> kTable[] = {{"model", D::kModel},
                                                         {"float32", D::kFloat32},
                                                         {"bfloat16", D::kBfloat16},
                                                         {"float16", D::kFloat16}};
};
template <>
struct pawl::core::EnumNames<pawl::rlhf::LearnDtype> {
  using D = pawl::rlhf::LearnDtype;
  static constexpr std::pair<const char*, D> kTable[] = {{"float32", D::kFloat32},
                                                         {"bfloat16", D::kBfloat16}};
};
template <>
struct pawl::core::EnumNames<pawl::rlhf::Schedule> {
  using S = pawl::rlhf::Schedule;
  static constexpr std::pair<const char*, S> kTable[] = {
      {"constant", S::kConstant}, {"linear", S::kLinear}, {"cosine", S::kCosine}};
};
