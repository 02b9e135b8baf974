#include "train/language_setup.h"

#include <algorithm>

#include "core/file.h"
#include "core/log.h"
#include "kernels/cuda_library.h"
#include "track/number_text.h"

namespace pawl::train {
namespace {

std::vector<int32_t> EncodePrompt(const std::string& prompt, const text::Tokenizer& tokenizer,
                                  int64_t max_positions) {
  std::vector<int32_t> ids;
  try {
    ids =
        tokenizer.Encode(prompt, {.add_first_tokens = true, .unknown = text::UnknownText::kRefuse});
  } catch (const Error& error) {
    throw Error(fmt::format("samples.prompts: {}", error.what()), error.exit_code());
  }
  if (static_cast<int64_t>(ids.size()) > max_positions) {
    throw UserError({.what = fmt::format("a prompt of {} tokens", ids.size()),
                     .where = "samples.prompts",
                     .expected = fmt::format("at most the model's {} positions", max_positions)});
  }
  return ids;
}

std::string CountsText(const text::TextCounts& counts) {
  std::string text;
  const auto add = [&text](int64_t count, const char* what) {
    if (count > 0) text += fmt::format(", {} {}", count, what);
  };
  add(counts.replaced_utf8, "stretches that were no UTF-8 replaced");
  add(counts.truncated_lines, "lines cut to the context");
  add(counts.dropped_lines, "lines dropped (nothing left to learn)");
  add(counts.empty_lines, "empty lines passed over");
  add(counts.bad_lines, "lines skipped that are no record");
  return text;
}

std::string RecordLines(const text::LoadedData& data) {
  const text::RecordSample& sample = data.sample;
  std::string lines = fmt::format("  records      {} to learn from, {} held out, kind {}\n",
                                  data.train->sequences(), data.eval->sequences(),
                                  text::NameOf(data.records->kind()));
  const auto add = [&](int64_t count, const char* what) {
    if (count > 0)
      lines += fmt::format("               {} of {} looked at {}\n", count, sample.records, what);
  };
  add(sample.truncated, "are cut to the context");
  add(sample.dropped, "are dropped by a limit");
  add(sample.prompt_differs,
      "have a prompt whose last tokens differ from those of the prompt alone");
  return lines;
}
}  // namespace

int64_t ChecksumOfBase(const LanguageConfig& config) {
  namespace fs = std::filesystem;
  if (config.lora.rank == 0 && config.lora.path.empty()) return 0;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(config.model.path)) {
    const fs::path& path = entry.path();
    if (path.filename() == "config.json" || path.extension() == ".safetensors")
      files.push_back(path);
  }
  std::ranges::sort(files);
  uint32_t all = 0;
  for (const fs::path& path : files) {
    const std::string name = path.filename().string();
    const uint32_t one = core::ChecksumOf(path).crc32c;
    all = core::Crc32c(std::as_bytes(std::span(name)), all);
    all = core::Crc32c(std::as_bytes(std::span(&one, 1)), all);
  }
  return all;
}

void CheckBase(const core::ArrayMap& state, int64_t checksum, const std::string& purpose) {
  if (state.GetScalar<int64_t>(kBaseChecksum) == checksum) return;
  throw UserError(
      {.what = fmt::format("cannot {}: the model under its adapter is not what it was", purpose),
       .where = "model.path",
       .expected = "the files the run began with, unchanged"});
}

void CheckFit(const rlhf::LearnerInfo& info, const text::Tokenizer& tokenizer, int64_t context,
              const char* context_key) {
  if (info.vocab < tokenizer.vocab_size()) {
    throw UserError({.what = fmt::format("the tokenizer has {} ids, the model {} embeddings",
                                         tokenizer.vocab_size(), info.vocab),
                     .where = "model.vocab",
                     .expected = "a vocabulary that holds every id of the tokenizer"});
  }
  if (info.max_positions < context) {
    throw UserError({.what = fmt::format("a context of {}, but the model has {} positions", context,
                                         info.max_positions),
                     .where = context_key,
                     .expected = fmt::format("at most {}", info.max_positions)});
  }
}

OpenedTokenizer OpenTokenizer(const std::filesystem::path& folder,
                              const std::filesystem::path& chat_template,
                              const std::string& eos_token) {
  OpenedTokenizer opened = {text::LoadTokenizer(folder, chat_template, eos_token),
                            text::FindChatTemplate(folder, chat_template, eos_token)};
  for (const std::string& warning : opened.tokenizer->warnings()) PAWL_LOG_WARN("{}", warning);
  return opened;
}

rlhf::LearnerRequest RequestOf(const LanguageConfig& config, const text::Tokenizer& tokenizer) {
  rlhf::LearnerRequest request;
  request.model = config.model;
  request.train = config.train;
  request.lora = config.lora;
  request.seed = config.seed;
  request.device = config.device;
  request.total_updates = config.total_updates;
  request.context = config.data.context;
  request.tokenizer_vocab = tokenizer.vocab_size();
  if (const auto eos = tokenizer.eos_id()) request.eos_ids = {*eos};
  return request;
}

LanguageSetup PrepareLanguage(const LanguageConfig& config, const rlhf::LearnerFactory& factory) {
  LoadDevice(config.device);
  OpenedTokenizer opened;
  if (config.data.tokenizer == text::TokenizerKind::kModel) {
    const std::string& own = config.data.tokenizer_path;
    opened = OpenTokenizer(own.empty() ? config.model.path : own, config.data.chat_template,
                           config.data.eos_token);
  }
  auto loaded = text::LoadData(config.data, std::move(opened.tokenizer), std::move(opened.chat));
  for (const auto& bad : loaded.problems) {
    PAWL_LOG_WARN("skipped {}:{}: {}", bad.file, bad.line, bad.problem.what);
  }
  auto learner = factory(RequestOf(config, *loaded.tokenizer));
  CheckFit(learner->info(), *loaded.tokenizer, config.data.context, "data.context");
  std::vector<std::vector<int32_t>> prompts;
  for (const auto& prompt : config.samples.prompts)
    prompts.push_back(EncodePrompt(prompt, *loaded.tokenizer, learner->info().max_positions));
  return {config, std::move(loaded), std::move(learner), std::move(prompts)};
}

std::string DryRunLines(const LanguageSetup& setup) {
  const auto& info = setup.learner->info();
  const LanguageConfig& config = setup.config;
  std::string lines = fmt::format("  model        {}\n", info.description);
  if (info.memory_bytes > 0) {
    lines += fmt::format("  memory       about {}\n",
                         track::SizeText(static_cast<uint64_t>(info.memory_bytes)));
  }
  lines += fmt::format("  text         {}{} tokens to learn from, {} held out, vocabulary {}{}\n",
                       setup.text.tokens_are_estimates ? "about " : "",
                       track::CountText(setup.text.train_tokens),
                       track::CountText(setup.text.eval_tokens), setup.text.tokenizer->vocab_size(),
                       CountsText(setup.text.counts));
  if (setup.text.records != nullptr) lines += RecordLines(setup.text);
  const text::ShuffledBatches batches(
      *setup.text.train, text::BatchOptionsOf(config.data, config.seed, config.train.sequences));
  const double epochs = static_cast<double>(config.total_updates) *
                        static_cast<double>(config.train.sequences) /
                        static_cast<double>(batches.epoch_sequences());
  return lines + fmt::format("  updates      {} of {} sequences, {:.3g} epochs\n",
                             config.total_updates, config.train.sequences, epochs);
}

rollout::SequenceBatch ViewOf(const text::TokenBatch& batch) {
  return {{.tokens = batch.tokens, .starts = batch.starts, .is_target = batch.is_target}};
}

rlhf::LossSum EvaluateBatches(rlhf::LanguageModelLearner& learner,
                              const std::vector<text::TokenBatch>& batches, bool (*stop)()) {
  rlhf::LossSum sum;
  for (const auto& batch : batches) {
    if (stop != nullptr && stop()) break;
    const rlhf::LossSum one = learner.Evaluate(ViewOf(batch));
    sum.loss_sum += one.loss_sum;
    sum.targets += one.targets;
  }
  return sum;
}

rlhf::LossSum EvaluateBatches(rlhf::LanguageModelLearner& learner, text::SpreadBatches batches,
                              bool (*stop)()) {
  rlhf::LossSum sum;
  text::TokenBatch batch;
  while ((stop == nullptr || !stop()) && batches.Next(batch)) {
    const rlhf::LossSum one = learner.Evaluate(ViewOf(batch));
    sum.loss_sum += one.loss_sum;
    sum.targets += one.targets;
  }
  return sum;
}

}  // namespace pawl::train
