#include "train/language_run.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/thread_pool.h"
#include "kernels/cpu_info.h"
#include "text/batch_queue.h"
#include "track/number_text.h"
#include "train/interrupt.h"
#include "train/language_output.h"
#include "train/launch.h"

namespace pawl::train {
namespace {
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kMeasureSeconds = 0.05;

// Counters of the loop itself; with the learner's they are the whole training state: what an update
// learns from is a function of the seed and its number.
struct LoopState {
  int64_t updates = 0;
  int64_t tokens = 0;                                                // the model was run on
  int64_t truncated = 0, dropped = 0;                                // sequences
  double time_s = 0;                                                 // wall clock over all resumes
  BestScore best{.score = std::numeric_limits<double>::infinity()};  // a loss
  int64_t without_best = 0;  // evaluations since the best one
  bool stopped = false;      // by eval.patience or eval.target_loss
  double learning_s = 0, other_s = 0;
};

class LanguageRun {
 public:
  LanguageRun(LanguageSetup& setup, const RunFolder& folder, size_t copied_state_bytes)
      : setup_(setup),
        config_(setup.config),
        folder_(folder),
        learner_(*setup.learner),
        checksums_{setup.text.train->Checksum(), setup.text.eval->Checksum()},
        base_checksum_(ChecksumOfBase(setup.config)),
        samples_(folder),
        output_(folder),
        checkpoints_(folder, setup.config.checkpoint),
        copied_state_bytes_(copied_state_bytes) {}

  int Run(bool resume);

 private:
  void GoOn(bool resume);
  void CheckTokenizer() const;
  void Load(const FoundCheckpoint& from);
  void Begin();
  void Update();
  algos::UpdateMetrics Learn(const text::TokenBatch& batch);
  track::Metrics UpdateMetrics(const algos::UpdateMetrics& learned, double tokens_per_s) const;
  bool EvaluateDue(track::Metrics& metrics);
  void SampleDue();
  void SaveCheckpoint();
  void EvaluateAtTheEnd(LanguageSummary& summary);
  void WriteBestModel(LanguageSummary& summary);
  double Elapsed() const { return state_.time_s + (core::MonotonicSeconds() - started_); }
  bool Done() const { return state_.updates >= config_.total_updates; }

  LanguageSetup& setup_;
  const LanguageConfig& config_;
  RunFolder folder_;
  rlhf::LanguageModelLearner& learner_;
  text::BatchCursor cursor_;        // where the run begins or goes on
  std::vector<int64_t> checksums_;  // of the text: a resume must have the same
  int64_t base_checksum_;           // and the same model under an adapter
  std::vector<text::TokenBatch> eval_batches_;
  LoopState state_;
  SampleFile samples_;
  RunOutput output_;
  RunCheckpoints checkpoints_;
  const size_t copied_state_bytes_;
  std::unique_ptr<text::BatchQueue> batches_;  // made once the cursor is known
  double peak_flops_per_s_ = kNaN;
  double started_ = core::MonotonicSeconds();
};

int LanguageRun::Run(bool resume) {
  GoOn(resume);
  Begin();
  InstallInterruptHandler();
  while (!Done() && !state_.stopped) {
    Update();
    if (Interrupted()) break;
  }
  if (!checkpoints_.IsSaved(state_.updates)) SaveCheckpoint();
  checkpoints_.Wait();
  LanguageSummary summary;
  summary.updates = state_.updates;
  summary.tokens = state_.tokens;
  summary.time_s = Elapsed();
  summary.stopped_early = state_.stopped;
  summary.best = state_.best;
  // the model is there even where the evaluation fails on a record
  if (!Interrupted()) WriteModelFolder(setup_, folder_.model());
  if (!Interrupted()) EvaluateAtTheEnd(summary);
  if (Interrupted()) {
    output_.Interrupted(state_.updates, fmt::format("{} tokens", state_.tokens));
    return 130;
  }
  WriteBestModel(summary);
  FinishLanguage(summary, setup_, folder_, output_);
  return 0;
}

// The start-up lines, the files that grow, and what the speed is measured against.
void LanguageRun::Begin() {
  std::filesystem::create_directories(folder_.tokenizer());
  text::WriteTokenizer(*setup_.text.tokenizer, folder_.tokenizer(), learner_.info().max_positions);
  const int64_t batches = config_.eval.batches;
  if (config_.eval.every_updates > 0) {
    eval_batches_ =
        setup_.text.eval->Spread(batches * config_.train.sequences, config_.train.sequences);
  }
  peak_flops_per_s_ = learner_.info().peak_flops_per_s;
  if (peak_flops_per_s_ == 0 && config_.device == "cpu") {
    const int threads = config_.train.threads > 0 ? config_.train.threads : core::NumCores();
    peak_flops_per_s_ = kernels::MeasureFmaRate(threads, kMeasureSeconds);
  }
  text::ShuffledBatches shuffled(
      *setup_.text.train,
      text::BatchOptionsOf(config_.data, config_.seed, config_.train.sequences));
  shuffled.Seek(cursor_);
  batches_ = std::make_unique<text::BatchQueue>(std::move(shuffled), config_.data.queue_batches,
                                                config_.data.deadline_s);
  PAWL_LOG_INFO("{} in {}: {}, {}{} tokens of text", Name(config_.stage), folder_.path.string(),
                learner_.info().description, setup_.text.tokens_are_estimates ? "about " : "",
                track::CountText(setup_.text.train_tokens));
  track::ProgressOptions progress{
      .total_steps = config_.total_updates, .first_step = state_.updates, .unit = "updates"};
  progress.speed_of = "tokens";
  progress.first_count = static_cast<double>(state_.tokens);
  progress.shown = {{"loss", "loss"}};
  output_.Open(std::move(progress));
}

// From the newest checkpoint, or from the start. All that may refuse comes before the first change
// of the run.
void LanguageRun::GoOn(bool resume) {
  const auto from = resume ? checkpoints_.FindNewest() : std::nullopt;
  if (from) {
    Load(*from);
  } else if (resume && std::filesystem::exists(folder_.metrics())) {
    PAWL_LOG_WARN("no checkpoint in {}: the run begins again", folder_.path.string());
  }
  AcceptLength(folder_, DescribeRun(config_));
  checkpoints_.Begin(state_.updates, from ? &*from : nullptr, state_.best);
  output_.CutBack(state_.updates, state_.updates);
  samples_.CutBack(state_.updates);
  if (from) {
    PAWL_LOG_INFO("resumed from {} ({} updates, {} tokens)", from->folder.string(), state_.updates,
                  state_.tokens);
  }
}

// That a resume reads text as the run did before. A tokenizer that was made from the text changes
// with it, which is told as such.
void LanguageRun::CheckTokenizer() const {
  if (config_.data.tokenizer != text::TokenizerKind::kModel) return;
  std::error_code ignored;
  if (!std::filesystem::exists(folder_.tokenizer(), ignored)) return;
  const auto files = text::TokenizerFiles(*setup_.text.tokenizer, learner_.info().max_positions);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}) {
    const std::filesystem::path file = folder_.tokenizer() / name;
    const bool was_there = std::filesystem::exists(file, ignored);
    const auto now = files.find(name);
    if (was_there == (now != files.end()) &&
        (!was_there || core::ReadTextFile(file) == now->second))
      continue;
    throw UserError({.what = fmt::format("cannot resume '{}': its {} is not what it was",
                                         folder_.path.string(), name),
                     .where = "data.tokenizer",
                     .expected = "the tokenizer the run began with, as it is in " +
                                 folder_.tokenizer().string(),
                     .hint = "--run DIR starts a new run"});
  }
}

void LanguageRun::Load(const FoundCheckpoint& from) {
  CheckTokenizer();
  const std::string source = from.folder.string();
  const auto arrays =
      core::BorrowSafetensors(nn::FileIn(from.files, kTrainingState, source), source);
  if (!std::ranges::equal(arrays.Get<int64_t>("loop/data_checksums"), checksums_)) {
    throw UserError({.what = fmt::format("cannot resume '{}': the text is not what it was",
                                         folder_.path.string()),
                     .where = "data.files",
                     .expected = "the files the run began with, unchanged",
                     .hint = "--run DIR starts a new run"});
  }
  CheckBase(arrays, base_checksum_, fmt::format("resume '{}'", folder_.path.string()));
  learner_.Load(arrays);
  state_.updates = arrays.GetScalar<int64_t>("loop/updates");
  state_.tokens = arrays.GetScalar<int64_t>("loop/tokens");
  state_.truncated = arrays.GetScalar<int64_t>("loop/truncated");
  state_.dropped = arrays.GetScalar<int64_t>("loop/dropped");
  const auto cursor = arrays.Get<int64_t>("loop/data_cursor");
  PAWL_CHECK_EQ(cursor.size(), 2u, "loop/data_cursor");
  cursor_ = {.draw = cursor[0], .row = cursor[1]};
  state_.best.score = arrays.GetScalar<double>("loop/best");
  state_.best.step = arrays.GetScalar<int64_t>("loop/best_step");
  state_.without_best = arrays.GetScalar<int64_t>("loop/without_best");
  state_.stopped = arrays.GetScalar<int64_t>("loop/stopped") != 0;
  const auto clocks = core::FromSafetensors(nn::FileIn(from.files, kClocks, source), source);
  state_.time_s = clocks.GetScalar<double>("time_s");
  state_.learning_s = clocks.GetScalar<double>("learning_s");
  state_.other_s = clocks.GetScalar<double>("other_s");
}

void LanguageRun::SaveCheckpoint() {
  core::ArrayMap arrays;
  learner_.Save(arrays);
  arrays.PutScalar<int64_t>("loop/updates", state_.updates);
  arrays.PutScalar<int64_t>("loop/tokens", state_.tokens);
  arrays.PutScalar<int64_t>("loop/truncated", state_.truncated);
  arrays.PutScalar<int64_t>("loop/dropped", state_.dropped);
  const text::BatchCursor cursor = batches_ ? batches_->cursor() : cursor_;
  arrays.Put<int64_t>("loop/data_cursor", std::vector<int64_t>{cursor.draw, cursor.row}, {2});
  arrays.PutScalar<double>("loop/best", state_.best.score);
  arrays.PutScalar<int64_t>("loop/best_step", state_.best.step);
  arrays.PutScalar<int64_t>("loop/without_best", state_.without_best);
  arrays.PutScalar<int64_t>("loop/stopped", state_.stopped);
  arrays.Put<int64_t>("loop/data_checksums", checksums_, {2});
  arrays.PutScalar<int64_t>(kBaseChecksum, base_checksum_);
  core::ArrayMap clocks;
  clocks.PutScalar<double>("time_s", Elapsed());
  clocks.PutScalar<double>("learning_s", state_.learning_s);
  clocks.PutScalar<double>("other_s", state_.other_s);
  nn::CheckpointFiles files;
  nn::CheckpointViews views;
  const core::SafetensorsPieces pieces = core::ToSafetensorsPieces(arrays);
  if (pieces.size_bytes() <= copied_state_bytes_) {
    files[kTrainingState] = core::ToSafetensors(arrays);
  } else {
    auto& view = views[kTrainingState];
    view.push_back(std::as_bytes(std::span(pieces.header)));
    view.insert(view.end(), pieces.data.begin(), pieces.data.end());
  }
  files[kClocks] = core::ToSafetensors(clocks);
  output_.Flush();  // no checkpoint before the metrics up to it are on the disk
  samples_.Flush();
  checkpoints_.Save(state_.updates, state_.updates, std::move(files), state_.best,
                    std::move(views));
}

void LanguageRun::Update() {
  const double begin = core::MonotonicSeconds();
  const text::TokenBatch batch = batches_->Next();
  const double made = core::MonotonicSeconds();
  const auto learned = Learn(batch);
  const double end = core::MonotonicSeconds();
  state_.learning_s += end - made;
  ++state_.updates;
  state_.tokens += batch.inputs();
  state_.truncated += batch.truncated;
  state_.dropped += batch.dropped;
  auto metrics = UpdateMetrics(learned, static_cast<double>(batch.inputs()) / (end - begin));
  const bool new_best = EvaluateDue(metrics);
  SampleDue();
  output_.Write(state_.updates, metrics);
  const double written = core::MonotonicSeconds();
  state_.other_s += made - begin + written - end;
  // the end saves by itself
  if (new_best || (!Done() && checkpoints_.Due(state_.updates))) SaveCheckpoint();
  state_.other_s += core::MonotonicSeconds() - written;
}

// An update that fails leaves behind what is needed to look into it: the last good weights and the
// batch.
algos::UpdateMetrics LanguageRun::Learn(const text::TokenBatch& batch) {
  const double progress =
      static_cast<double>(state_.updates) / static_cast<double>(config_.total_updates);
  try {
    return learner_.Update(ViewOf(batch), state_.updates, progress);
  } catch (const Error& error) {
    const auto folder = folder_.path / fmt::format("bad_update_{}", state_.updates);
    const Error named(fmt::format("update {}: {}", state_.updates, error.what()),
                      error.exit_code());
    ThrowBadUpdate(named, folder, [&] { return WriteBadUpdate(setup_, ViewOf(batch), folder); });
  }
}

track::Metrics LanguageRun::UpdateMetrics(const algos::UpdateMetrics& learned,
                                          double tokens_per_s) const {
  const double loss = track::Value(learned, "loss");
  const double flops_per_s = learner_.info().flops_per_token * tokens_per_s;
  track::Metrics metrics = {
      {"time_s", Elapsed()},
      {"updates", static_cast<double>(state_.updates)},
      {"tokens", static_cast<double>(state_.tokens)},
      {"tokens_per_s", tokens_per_s},
      {"perplexity", std::exp(loss)},
  };
  metrics.insert(metrics.end(), learned.begin(), learned.end());
  metrics.insert(
      metrics.end(),
      {{"mfu", flops_per_s > 0 && peak_flops_per_s_ > 0 ? flops_per_s / peak_flops_per_s_ : kNaN},
       {"truncated_sequences", static_cast<double>(state_.truncated)},
       {"dropped_sequences", static_cast<double>(state_.dropped)},
       {"learning_s", state_.learning_s},
       {"other_s", state_.other_s}});
  return metrics;
}

// Adds the evaluation's metrics where one is due (null otherwise). True: the best model so far, to
// be saved now.
bool LanguageRun::EvaluateDue(track::Metrics& metrics) {
  const LanguageEvalConfig& eval = config_.eval;
  if (eval.every_updates == 0 || state_.updates % eval.every_updates != 0) {
    metrics.insert(metrics.end(), {{"eval_loss", kNaN}, {"eval_perplexity", kNaN}});
    return false;
  }
  const rlhf::LossSum sum = EvaluateBatches(learner_, eval_batches_);
  const double loss = sum.loss_sum / static_cast<double>(sum.targets);
  if (!std::isfinite(loss)) {
    throw RunError({.what = fmt::format("the loss of the evaluation after update {} is {}",
                                        state_.updates - 1, loss),
                    .expected = "a finite number",
                    .hint = "--resume goes on from the last checkpoint"});
  }
  metrics.insert(metrics.end(), {{"eval_loss", loss}, {"eval_perplexity", std::exp(loss)}});
  const bool best = loss < state_.best.score;
  state_.without_best = best ? 0 : state_.without_best + 1;
  if (best) state_.best = {.score = loss, .step = state_.updates};
  if (eval.patience > 0 && state_.without_best >= eval.patience) state_.stopped = true;
  if (eval.target_loss > 0 && loss <= eval.target_loss) state_.stopped = true;
  PAWL_LOG_INFO("evaluation after {} updates: loss {:.4f}, perplexity {:.4g}{}", state_.updates,
                loss, std::exp(loss), best ? ", the best so far" : "");
  return best;
}

// After the last update, too: before its checkpoint, so that a resume repeats nothing.
void LanguageRun::SampleDue() {
  const int every = config_.samples.every_updates;
  const bool due = (every > 0 && state_.updates % every == 0) || Done() || state_.stopped;
  if (due && !setup_.prompts.empty()) samples_.Write(setup_, state_.updates);
}

void LanguageRun::EvaluateAtTheEnd(LanguageSummary& summary) {
  if (setup_.text.eval->empty()) return;
  const int64_t per_batch = config_.train.sequences;
  const text::SpreadBatches batches(*setup_.text.eval, config_.eval.final_batches * per_batch,
                                    per_batch);
  output_.Closing(fmt::format("evaluating {} batches", batches.batches()));
  const double begin = core::MonotonicSeconds();
  summary.evaluation = EvaluateBatches(learner_, batches, Interrupted);
  summary.evaluation_s = core::MonotonicSeconds() - begin;
}

// best_model/ has the weights of the best evaluation where they are not the last ones. Where its
// checkpoint cannot be read any more the run ends without: it would never end otherwise.
void LanguageRun::WriteBestModel(LanguageSummary& summary) {
  if (state_.best.step < 0 || state_.best.step == state_.updates) {
    std::error_code ignored;
    std::filesystem::remove_all(folder_.best_model(), ignored);  // of a shorter run
    return;
  }
  try {
    std::vector<std::string> skipped;
    const auto found = FindCheckpoint(folder_.path, /*best=*/true, skipped);
    const std::string source = found.folder.string();
    learner_.Load(core::BorrowSafetensors(nn::FileIn(found.files, kTrainingState, source), source));
  } catch (const std::exception& error) {
    PAWL_LOG_WARN("{} is not written: {}", folder_.best_model().string(), error.what());
    return;
  }
  WriteModelFolder(setup_, folder_.best_model());  // a full disk can be helped, and resumed from
  summary.best_model = true;
}

}  // namespace

int TrainLanguage(const TrainOptions& options, const core::Table& table,
                  const LanguageParts& parts) {
  LanguageSetup setup = PrepareLanguage(LoadLanguageConfig(table), parts.factory);
  StagePlan plan;
  plan.config = DescribeRun(setup.config);
  plan.dry_run_lines = DryRunLines(setup);
  plan.run = [&](const RunFolder& folder) {
    LanguageRun run(setup, folder, parts.copied_state_bytes);
    return run.Run(options.resume);
  };
  return Launch(options, plan);
}

}  // namespace pawl::train
