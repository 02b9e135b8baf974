// A training step of a language model on the CPU (forward, loss, backward, clip, AdamW) beside the
// cores' multiply-add limit, measured between the steps. One JSON line.
//   language_step_bench --model 15m|05b [--sequences N] [--length N] [--steps N] [--dtype bfloat16]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "bench/figure.h"
#include "core/clock.h"
#include "core/rng.h"
#include "core/thread_pool.h"
#include "kernels/cpu_info.h"
#include "nn/language_trainer.h"

namespace pawl {
namespace {

nn::ModelConfig Shape(const std::string& name) {
  nn::ModelConfig config;
  config.tied = true;
  if (name == "15m") {
    config.vocab = 32'000;
    config.width = 288;
    config.intermediate = 768;
    config.layers = 6;
    config.heads = config.kv_heads = 6;
    config.head_dim = 48;
    config.max_positions = 2048;
  } else {
    config.family = nn::ModelFamily::kQwen2;
    config.qkv_bias = true;
    config.vocab = 151'936;
    config.width = 896;
    config.intermediate = 4864;
    config.layers = 24;
    config.heads = 14;
    config.kv_heads = 2;
    config.head_dim = 64;
    config.max_positions = 32'768;
    config.rope.theta = 1e6;
  }
  return config;
}

int64_t PeakBytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  int64_t kilobytes = 0;
  while (status >> word) {
    if (word == "VmHWM:") status >> kilobytes;
  }
  return kilobytes * 1024;
}

struct Options {
  std::string model = "15m", dtype = "float32";
  int64_t sequences = 16, length = 256, micro = 4096;
  int steps = 5, threads = core::NumCores();
  bool recompute = false;
};

void Run(const Options& options) {
  const auto layout = std::make_shared<const nn::DecoderLayout>(Shape(options.model));
  const nn::ModelConfig& config = layout->config();
  nn::LanguageTrainerOptions trainer_options;
  trainer_options.compute =
      options.dtype == "bfloat16" ? nn::ComputeType::kBf16 : nn::ComputeType::kF32;
  trainer_options.micro_batch_tokens = options.micro;
  trainer_options.checkpoint_activations = options.recompute;
  trainer_options.threads = options.threads;
  auto trainer = nn::MakeCpuTrainer(
      layout, [&](std::span<float> weights) { nn::InitializeWeights(*layout, 0.02, 1, weights); },
      trainer_options);
  core::Philox rng(1, core::Role::kTest, 0, 0);
  std::vector<int32_t> tokens, starts = {0};
  std::vector<uint8_t> is_target;
  for (int64_t s = 0; s < options.sequences; ++s) {
    for (int64_t i = 0; i <= options.length; ++i) {  // as many inputs and targets as `length`
      tokens.push_back(static_cast<int32_t>(rng.Below(static_cast<uint32_t>(config.vocab))));
      is_target.push_back(i > 0);
    }
    starts.push_back(static_cast<int32_t>(tokens.size()));
  }
  const int64_t targets = options.sequences * options.length;
  std::vector<float> log_prob(static_cast<size_t>(targets));
  const kernels::TokenLoss loss = [&](int64_t, auto, auto, std::span<float> d, auto) {
    std::fill(d.begin(), d.end(), -1.0f / static_cast<float>(targets));
  };
  std::vector<double> seconds, shares;
  const double flops =
      nn::TrainingFlopsPerToken(config, options.length) * static_cast<double>(targets);
  for (int step = 0; step <= options.steps; ++step) {
    const double limit = kernels::MeasureFmaRate(options.threads, 0.05);
    const double begin = core::MonotonicSeconds();
    trainer->Gradient({tokens, starts, is_target}, loss, log_prob, {});
    const double norm = trainer->GradientNorm();
    trainer->Step({.learning_rate = 1e-4}, static_cast<float>(std::min(1.0, 1 / norm)), step + 1);
    const double took = core::MonotonicSeconds() - begin;
    if (step == 0) continue;  // first touches of memory
    seconds.push_back(took);
    shares.push_back(flops / took / limit);
  }
  const double step = Median(seconds);
  const nlohmann::ordered_json line = {{"what", "training step"},
                                       {"model", options.model},
                                       {"parameters", nn::CountParameters(config)},
                                       {"dtype", options.dtype},
                                       {"sequences", options.sequences},
                                       {"length", options.length},
                                       {"threads", options.threads},
                                       {"step_s", step},
                                       {"step_s_range",
                                        {*std::min_element(seconds.begin(), seconds.end()),
                                         *std::max_element(seconds.begin(), seconds.end())}},
                                       {"tokens_per_s", static_cast<double>(targets) / step},
                                       {"gflops_per_s", flops / step / 1e9},
                                       {"share_of_fma", Median(shares)},
                                       {"peak_bytes", PeakBytes()}};
  std::cout << line.dump() << std::endl;
}
}  // namespace
}  // namespace pawl

int main(int argc, char** argv) {
  pawl::Options options;
  CLI::App app("A training step of a language model");
  app.add_option("--model", options.model, "15m (Llama shape) or 05b (Qwen2.5-0.5B shape)")
      ->check(CLI::IsMember({"15m", "05b"}));
  app.add_option("--dtype", options.dtype)->check(CLI::IsMember({"float32", "bfloat16"}));
  app.add_option("--sequences", options.sequences);
  app.add_option("--length", options.length);
  app.add_option("--micro-batch", options.micro, "tokens of a pass");
  app.add_option("--steps", options.steps);
  app.add_option("--threads", options.threads);
  app.add_flag("--recompute", options.recompute, "keep only the layers' inputs");
  CLI11_PARSE(app, argc, argv);
  pawl::Run(options);
}
