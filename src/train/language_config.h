// The config of the stages "pretrain" and "sft": a language model learns from text. Sections stand
// beside the code they drive (text/data_config.h, rlhf/sft_config.h); this file adds those of the
// loop. Read once at start, checked whole before any work, saved resolved in the run folder.
#pragma once
#include <string>
#include <vector>

#include "core/config.h"
#include "rlhf/sft_config.h"
#include "text/data_config.h"
#include "train/run_config.h"

namespace pawl::train {

struct LanguageEvalConfig {
  int every_updates = 0;
  int batches = 20;
  int final_batches = 0;
  int patience = 0;
  double target_loss = 0;
  template <class V>
  void Visit(V& v) {
    v.Field("every_updates", every_updates,
            {.help = "updates between evaluations; 0 = only at the end", .min = 0});
    v.Field("batches", batches,
            {.help = "batches of train.sequences of each evaluation during training, spread over "
                     "the hold-out; 0 = all of it",
             .min = 0});
    v.Field("final_batches", final_batches,
            {.help = "batches of the evaluation at the end; 0 = all of the hold-out", .min = 0});
    v.Field("patience", patience,
            {.help = "end the run after this many evaluations without a new lowest loss; 0 = never",
             .min = 0});
    v.Field("target_loss", target_loss,
            {.help = "end the run when an evaluation reaches this loss; 0 = never",
             .min = 0,
             .unit = "nats"});
  }
};

struct SampleConfig {
  int every_updates = 0;
  std::vector<std::string> prompts;
  int64_t tokens = 200;
  double temperature = 0.8;
  uint64_t seed = 1;
  template <class V>
  void Visit(V& v) {
    v.Field("every_updates", every_updates,
            {.help = "updates between samples of generated text; 0 = only at the end", .min = 0});
    v.Field("prompts", prompts,
            {.help = "what the samples go on from, each its own; empty = no samples"});
    v.Field("tokens", tokens, {.help = "longest continuation", .min = 1, .unit = "tokens"});
    v.Field("temperature", temperature,
            {.help = "of the sampling; 0 = always the likeliest token", .min = 0, .max = 100});
    v.Field("seed", seed, {.help = "seed of the samples"});
  }
};

struct LanguageConfig {
  Stage stage = Stage::kPretrain;
  uint64_t seed = 1;
  int64_t total_updates = 1000;
  std::string device = "cpu";
  rlhf::ModelSection model;
  text::DataConfig data;
  rlhf::SftConfig train;
  rlhf::LoraConfig lora;
  LanguageEvalConfig eval;
  SampleConfig samples;
  CheckpointConfig checkpoint;
  template <class V>
  void Visit(V& v) {
    v.Field("stage", stage, {.help = "what the run does; this table is for pretrain and sft"});
    v.Field("seed", seed, {.help = "seed of every random stream of the run"});
    v.Field("total_updates", total_updates, {.help = "updates to train for", .min = 1});
    v.Field("device", device, {.help = "where the learner runs: cpu or cuda"});
    v.Section("model", model, "the language model");
    v.Section("data", data, "the text");
    v.Section("train", train, "the optimizer");
    v.Section("lora", lora, "low-rank adapters");
    v.Section("eval", eval, "evaluation");
    v.Section("samples", samples, "text generated during training");
    v.Section("checkpoint", checkpoint, "when the run is saved");
  }
};

// Fills the config, resolves paths, checks every key and range and what the sections demand of each
// other.
LanguageConfig LoadLanguageConfig(const core::Table& table);
// The same checks on a config already in memory.
void CheckLanguageConfig(const LanguageConfig& config);
// Makes the paths of files and folders absolute.
void ResolvePaths(LanguageConfig& config);
RunConfig DescribeRun(const LanguageConfig& config);

}  // namespace pawl::train
