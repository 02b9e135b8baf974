#include "train/language_output.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/log.h"
#include "core/safetensors.h"
#include "track/metrics_file.h"
#include "track/number_text.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

core::ArrayMap BatchArrays(const rollout::SequenceBatch& batch) {
  core::ArrayMap arrays;
  const auto put = [&arrays](const char* name, auto values) {
    using T = std::remove_const_t<typename decltype(values)::element_type>;
    arrays.Put<T>(name, values, {static_cast<int64_t>(values.size())});
  };
  put("tokens", batch.tokens);
  put("starts", batch.starts);
  put("is_target", batch.is_target);
  return arrays;
}

Json NumberOrNull(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
}  // namespace

void SampleFile::CutBack(int64_t updates) { track::CutMetricsBack(path_, updates); }

void SampleFile::Write(LanguageSetup& setup, int64_t updates) {
  const SampleConfig& config = setup.config.samples;
  if (!file_) file_ = std::make_unique<track::AppendFile>(path_);
  for (size_t i = 0; i < setup.prompts.size(); ++i) {
    const auto ids = setup.learner->Generate(setup.prompts[i], {.tokens = config.tokens,
                                                                .temperature = config.temperature,
                                                                .seed = config.seed,
                                                                .index = i});
    const Json line = {{"updates", updates},
                       {"prompt", config.prompts[i]},
                       {"text", text::DecodeAfter(*setup.text.tokenizer, setup.prompts[i], ids)}};
    file_->Append(line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  }
}

void SampleFile::Flush() {
  if (file_) file_->Sync();
}

void WriteModelFolder(const LanguageSetup& setup, const fs::path& folder) {
  core::ReplaceFolder(folder, [&](const fs::path& temporary) {
    setup.learner->WriteModel(temporary);
    text::WriteTokenizer(*setup.text.tokenizer, temporary, setup.learner->info().max_positions);
  });
}

std::string WriteBadUpdate(const LanguageSetup& setup, const rollout::SequenceBatch& batch,
                           const fs::path& folder) {
  core::WriteFileAtomic(folder / "batch.safetensors", core::ToSafetensors(BatchArrays(batch)));
  try {
    WriteModelFolder(setup, folder / "model");
  } catch (const std::exception& error) {
    PAWL_LOG_WARN("the weights before the update could not be written: {}", error.what());
    return fmt::format("the batch is in {}, the last good weights are in the last checkpoint",
                       folder.string());
  }
  return fmt::format("last good weights and the batch are in {}", folder.string());
}

Json ToJson(const rlhf::LossSum& evaluation) {
  const double loss = evaluation.loss_sum / static_cast<double>(evaluation.targets);
  return {{"eval_loss", NumberOrNull(loss)},
          {"eval_perplexity", NumberOrNull(std::exp(loss))},
          {"eval_targets", evaluation.targets}};
}

void FinishLanguage(const LanguageSummary& summary, const LanguageSetup& setup,
                    const RunFolder& folder, RunOutput& output) {
  output.EndProgress();
  output.Flush();
  std::printf("\n%s: %s tokens, %lld updates in %.1f s of training%s\n",
              setup.learner->info().description.c_str(),
              track::CountText(static_cast<double>(summary.tokens)).c_str(),
              static_cast<long long>(summary.updates), summary.time_s,
              summary.stopped_early ? " (stopped early by eval.patience or eval.target_loss)" : "");
  const rlhf::LossSum& e = summary.evaluation;
  if (e.targets > 0) {
    const double loss = e.loss_sum / static_cast<double>(e.targets);
    std::printf("  loss          %.4f nats, perplexity %s (%s held-out tokens)\n", loss,
                track::ShortNumber(std::exp(loss)).c_str(),
                track::CountText(static_cast<double>(e.targets)).c_str());
  }
  if (summary.best.step >= 0) {
    std::printf("  best          %.4f nats after %lld updates\n", summary.best.score,
                static_cast<long long>(summary.best.step));
  }
  output.PrintWhereTimeWent({"learning", "other"});
  Json figures = ToJson(e);
  figures.update({{"updates", summary.updates},
                  {"tokens", summary.tokens},
                  {"time_s", summary.time_s},
                  {"evaluation_s", summary.evaluation_s},
                  {"stopped_early", summary.stopped_early},
                  {"description", setup.learner->info().description},
                  {"parameters", setup.learner->info().parameters},
                  {"replaced_utf8", setup.text.counts.replaced_utf8},
                  {"truncated_lines", setup.text.counts.truncated_lines},
                  {"dropped_lines", setup.text.counts.dropped_lines},
                  {"empty_lines", setup.text.counts.empty_lines}});
  output.WriteSummary(figures);
  std::printf("  model         %s\n", folder.model().c_str());
  if (summary.best_model) std::printf("  best model    %s\n", folder.best_model().c_str());
  std::printf("  report        %s\n", folder.report().c_str());
}

}  // namespace pawl::train
