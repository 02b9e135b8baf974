#include "train/language_run.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "fake_language_learner.h"
#include "nn/checkpoint.h"
#include "text/text_dataset.h"
#include "track/event_file.h"
#include "track/metric_table.h"
#include "track/runs.h"
#include "train/evaluate_language.h"
#include "train/language_config.h"
#include "train/language_subject.h"
#include "train/run_folder.h"
#include "train_testing.h"

namespace pawl::train {
namespace {
namespace fs = std::filesystem;
using Assignments = std::vector<std::string>;

class LanguageRunTest : public testing::Test {
 protected:
  LanguageRunTest() {
    FaultsOf() = {};
    std::string text;
    for (int i = 0; i < 60; ++i) text += fmt::format("the {}. cat <b>sat</b> & ran;\n", i % 7);
    Put("text.txt", text);
    Put("c.toml", fmt::format(R"(
stage = "pretrain"
seed = 5
total_updates = 12
[data]
files = ["{}"]
tokenizer = "char"
context = 16
[train]
sequences = 4
learning_rate = 0.5
warmup_updates = 2
[eval]
every_updates = 3
batches = 2
[samples]
every_updates = 4
prompts = ["the ", "<b>"]
tokens = 12
[checkpoint]
every_updates = 2
keep = 100
)",
                              (folder_ / "text.txt").string()));
  }
  ~LanguageRunTest() override { FaultsOf() = {}; }

  void Put(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  int Run(const std::string& run, const Assignments& assignments = {}, bool resume = false,
          bool dry_run = false) {
    const std::string config = (folder_ / "c.toml").string();
    LanguageParts parts;
    parts.factory = MakeFakeLearner;
    parts.copied_state_bytes = copied_state_bytes_;
    return TrainLanguage({.config_path = config,
                          .run_folder = (folder_ / run).string(),
                          .assignments = assignments,
                          .resume = resume,
                          .dry_run = dry_run},
                         ReadConfigTable(config, assignments), parts);
  }
  // The message of the error that Run throws.
  std::string ErrorOf(const std::string& run, const Assignments& assignments = {},
                      bool resume = false, int exit_code = 2) {
    try {
      Run(run, assignments, resume);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), exit_code) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return error.what();
    }
    return "";
  }
  // Runs in a child process that kills itself at a call of the learner. Whether it came to that.
  bool RunKilledAt(const std::string& run, int64_t call, bool resume = false) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      FaultsOf() = {.kill_at_call = call};
      Run(run, {}, resume);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status);
  }
  nlohmann::json Json(const std::string& path) {
    return nlohmann::json::parse(core::ReadTextFile(folder_ / path));
  }
  std::string Text(const std::string& path) { return core::ReadTextFile(folder_ / path); }
  std::vector<std::string> Metrics(const std::string& run) {
    auto rows = MetricsWithoutClocks(folder_ / run);
    for (std::string& row : rows) {
      auto json = nlohmann::ordered_json::parse(row);
      json.erase("mfu");  // a speed
      row = json.dump();
    }
    return rows;
  }
  std::string State(const std::string& run) {
    const auto files =
        nn::ReadCheckpoint(nn::ListCheckpoints(folder_ / run / "checkpoints").front().folder);
    const auto bytes = files.at("state/training.safetensors").bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  void ExpectSame(const std::string& run, const std::string& reference) {
    EXPECT_EQ(Metrics(run), Metrics(reference));
    EXPECT_EQ(State(run), State(reference));
    for (const char* file : {"samples.jsonl", "best.json", "model/model.safetensors",
                             "model/tokenizer.json", "best_model/model.safetensors"}) {
      const bool there = fs::exists(folder_ / reference / file);
      ASSERT_EQ(fs::exists(folder_ / run / file), there) << file;
      if (there) {
        EXPECT_EQ(Text(run + "/" + file), Text(reference + "/" + file)) << file;
      }
    }
  }

  void ExpectKilledRunsResumeTo(const std::string& reference, int64_t calls, int64_t phase);

  TempFolder folder_{FastFolder()};
  size_t copied_state_bytes_ = LanguageParts().copied_state_bytes;  // 0: states are never copied
};

constexpr int64_t kKillStride = 5;

// SIGKILL at every fifth call of the learner from `phase` on.
void LanguageRunTest::ExpectKilledRunsResumeTo(const std::string& reference, int64_t calls,
                                               int64_t phase) {
  SCOPED_TRACE(fmt::format("phase {}", phase));
  for (int64_t call = phase; call < calls; call += kKillStride) {
    const std::string run = fmt::format("killed{}", call);
    ASSERT_TRUE(RunKilledAt(run, call)) << call;
    EXPECT_FALSE(fs::exists(folder_ / run / "summary.json")) << call;
    if (call % 2 == 0) RunKilledAt(run, 5, /*resume=*/true);  // and again
    ASSERT_EQ(Run(run, {}, /*resume=*/true), 0) << call;
    ExpectSame(run, reference);
    EXPECT_EQ(track::ReadMetrics(folder_ / run / "metrics.jsonl").num_rows, 12u);
    if (HasFailure()) FAIL() << "killed at call " << call;
    fs::remove_all(folder_ / run);
  }
}

TEST_F(LanguageRunTest, LearnsAndLeavesWhatARunLeaves) {
  ASSERT_EQ(Run("run"), 0);
  const auto metrics = track::ReadMetrics(folder_ / "run" / "metrics.jsonl");
  ASSERT_EQ(metrics.num_rows, 12u);
  for (const char* name :
       {"time_s", "updates", "tokens", "tokens_per_s", "loss", "perplexity", "grad_norm",
        "learning_rate", "mfu", "eval_loss", "eval_perplexity", "truncated_sequences"}) {
    EXPECT_TRUE(metrics.Has(name)) << name;
  }
  for (const auto& name : metrics.names)
    EXPECT_NE(track::FindMetric(name), nullptr) << name << " is not documented";
  EXPECT_LT(metrics.Last("loss"), metrics.Column("loss")[0]);
  EXPECT_EQ(metrics.Last("perplexity"), std::exp(metrics.Last("loss")));
  EXPECT_EQ(metrics.Last("tokens"), 12 * 4 * 16);
  const auto& evaluations = metrics.Column("eval_loss");
  for (size_t row = 0; row < 12; ++row)
    EXPECT_EQ(std::isfinite(evaluations[row]), row % 3 == 2) << row;
  const auto summary = Json("run/summary.json");
  EXPECT_EQ(summary["updates"], 12);
  EXPECT_EQ(summary["stopped_early"], false);
  EXPECT_GT(summary["eval_targets"], 100);
  for (const char* file :
       {"model/config.json", "model/tokenizer.json", "model/tokenizer_config.json",
        "tokenizer/tokenizer.json", "report.html", "log.txt", "config.toml", "best.json"}) {
    EXPECT_TRUE(fs::exists(folder_ / "run" / file)) << file;
  }
  EXPECT_FALSE(fs::exists(folder_ / "run" / "model.tmp"));
  EXPECT_NE(Text("run/config.toml").find("stage = \"pretrain\""), std::string::npos);
}

TEST_F(LanguageRunTest, RepeatsBitForBitAndASeedChangesIt) {
  ASSERT_EQ(Run("a"), 0);
  ASSERT_EQ(Run("b"), 0);
  ExpectSame("a", "b");
  ASSERT_EQ(Run("c", {"seed=6"}), 0);
  EXPECT_NE(Metrics("c"), Metrics("a"));
}

// A fifth of the calls a day: which ones rotates, so that all have been killed within five days.
// PAWL_KILL_PHASE=0..4 repeats a day's.
int64_t KillPhase() {
  const char* given = std::getenv("PAWL_KILL_PHASE");
  const int64_t day = given != nullptr ? std::atoll(given) : std::time(nullptr) / (24 * 60 * 60);
  return day % kKillStride;
}

TEST_F(LanguageRunTest, KilledAtAFifthOfItsCallsARunResumesToTheSameBits) {
  ASSERT_EQ(Run("reference"), 0);
  const int64_t calls = FaultsOf().calls;
  ASSERT_GT(calls, 40);
  ExpectKilledRunsResumeTo("reference", calls, KillPhase());
}

// As states of gigabytes are: from views that are void at the learner's next call.
TEST_F(LanguageRunTest, AStateThatIsNotCopiedGivesTheSameFilesKilledOrNot) {
  ASSERT_EQ(Run("copied"), 0);
  copied_state_bytes_ = 0;
  FaultsOf() = {};
  ASSERT_EQ(Run("viewed"), 0);
  const int64_t calls = FaultsOf().calls;
  ExpectSame("viewed", "copied");
  const auto copied = nn::ListCheckpoints(folder_ / "copied" / "checkpoints");
  const auto viewed = nn::ListCheckpoints(folder_ / "viewed" / "checkpoints");
  ASSERT_EQ(viewed.size(), copied.size());
  ASSERT_GT(copied.size(), 5u);
  for (size_t i = 0; i < copied.size(); ++i) {
    EXPECT_EQ(core::ReadBinaryFile(viewed[i].folder / "state/training.safetensors"),
              core::ReadBinaryFile(copied[i].folder / "state/training.safetensors"))
        << copied[i].step;
    EXPECT_NO_THROW(nn::ReadCheckpoint(viewed[i].folder));
  }
  ExpectKilledRunsResumeTo("copied", calls, (KillPhase() + 2) % kKillStride);
}

TEST_F(LanguageRunTest, InterruptedItSavesAndGoesOn) {
  ASSERT_EQ(Run("reference"), 0);
  const int64_t calls = FaultsOf().calls;
  for (const int64_t call : {int64_t{9}, calls - 3}) {  // in an update; in the last evaluation
    const std::string run = fmt::format("run{}", call);
    FaultsOf() = {.interrupt_at_call = call};
    EXPECT_EQ(Run(run), 130);
    EXPECT_FALSE(fs::exists(folder_ / run / "summary.json"));
    FaultsOf() = {};
    ASSERT_EQ(Run(run, {}, /*resume=*/true), 0);
    ExpectSame(run, "reference");
  }
}

TEST_F(LanguageRunTest, GoesOnToALargerTotalButNotWithAnotherConfigOrText) {
  ASSERT_EQ(Run("run", {"train.schedule=constant"}), 0);
  EXPECT_EQ(Run("run", {"train.schedule=constant"}, /*resume=*/true), 0);  // finished already
  EXPECT_NE(ErrorOf("run", {}, true).find("train.schedule"), std::string::npos);
  EXPECT_NE(ErrorOf("run", {"train.schedule=constant", "stage=sft"}, true).find("stage"),
            std::string::npos);
  EXPECT_NE(ErrorOf("run").find("exists already"), std::string::npos);
  const Assignments longer = {"train.schedule=constant", "total_updates=14"};
  const std::string text = Text("text.txt");
  Put("text.txt", text + "more of the cat");
  const auto before = FilesOf(folder_ / "run");
  EXPECT_NE(ErrorOf("run", longer, true).find("the text is not what it was"), std::string::npos);
  EXPECT_EQ(FilesOf(folder_ / "run"), before);  // still finished, at the length it had
  Put("text.txt", text);
  EXPECT_EQ(Run("run", {"train.schedule=constant"}, /*resume=*/true), 0);
  ASSERT_EQ(Run("run", longer, true), 0);
  EXPECT_EQ(track::ReadMetrics(folder_ / "run" / "metrics.jsonl").num_rows, 14u);
  // as a run that was to be that long from the start
  ASSERT_EQ(Run("whole", longer), 0);
  EXPECT_EQ(Metrics("run"), Metrics("whole"));
  EXPECT_EQ(State("run"), State("whole"));
}

TEST_F(LanguageRunTest, StopsWhenEvaluationsGetWorseAndKeepsTheBestModel) {
  FaultsOf().worse_after_evals = 4;  // two batches each: from the third evaluation on
  ASSERT_EQ(Run("run", {"eval.patience=2", "eval.every_updates=1", "checkpoint.keep=1"}), 0);
  EXPECT_EQ(track::ReadMetrics(folder_ / "run" / "metrics.jsonl").num_rows, 4u);
  EXPECT_EQ(Json("run/summary.json")["stopped_early"], true);
  EXPECT_EQ(Json("run/best.json")["step"], 2);
  std::vector<int64_t> kept;
  for (const auto& ref : nn::ListCheckpoints(folder_ / "run" / "checkpoints"))
    kept.push_back(ref.step);
  EXPECT_EQ(kept, (std::vector<int64_t>{4, 2}));
  // best_model/ has the weights of checkpoint 2, model/ those of the end
  std::vector<std::string> skipped;
  const auto found = FindCheckpoint(folder_ / "run", /*best=*/true, skipped);
  const auto state =
      core::FromSafetensors(found.files.at("state/training.safetensors").bytes(), "best");
  const auto best =
      core::ReadSafetensors((folder_ / "run" / "best_model" / "model.safetensors").string());
  EXPECT_TRUE(std::ranges::equal(best.Get<float>("weights"), state.Get<float>("weights")));
  EXPECT_NE(Text("run/best_model/model.safetensors"), Text("run/model/model.safetensors"));
  // a goal that was reached stays reached
  const auto before = Metrics("run");
  fs::remove(folder_ / "run" / "summary.json");
  ASSERT_EQ(Run("run", {"eval.patience=2", "eval.every_updates=1", "checkpoint.keep=1"}, true), 0);
  EXPECT_EQ(Metrics("run"), before);
}

TEST_F(LanguageRunTest, EndsWithoutTheBestModelWhereItsCheckpointIsDamaged) {
  FaultsOf().worse_after_evals = 4;
  const Assignments patient = {"eval.patience=2", "eval.every_updates=1"};
  ASSERT_EQ(Run("run", patient), 0);
  ASSERT_EQ(Json("run/best.json")["step"], 2);
  const std::string best_model = Text("run/best_model/model.safetensors");
  fs::remove(folder_ / "run" / "summary.json");
  const fs::path state = nn::CheckpointFolder(folder_ / "run" / "checkpoints", 2) / "state";
  fs::resize_file(state / "training.safetensors", 10);
  ASSERT_EQ(Run("run", patient, /*resume=*/true), 0);
  EXPECT_EQ(Json("run/summary.json")["updates"], 4);
  EXPECT_NE(Text("run/log.txt").find("best_model is not written: "), std::string::npos);
  EXPECT_EQ(Text("run/best_model/model.safetensors"), best_model);  // as it was
}

TEST_F(LanguageRunTest, StopsAtTheLossItIsToReach) {
  ASSERT_EQ(Run("run", {"eval.target_loss=100"}), 0);
  EXPECT_EQ(track::ReadMetrics(folder_ / "run" / "metrics.jsonl").num_rows, 3u);
  const auto before = FilesOf(folder_ / "run");
  EXPECT_NE(
      ErrorOf("run", {"eval.target_loss=100", "total_updates=20"}, true).find("stopped early"),
      std::string::npos);
  EXPECT_EQ(FilesOf(folder_ / "run"), before);
}

TEST_F(LanguageRunTest, CheckpointsThatAreAllRefusedLeaveTheRunAsItIs) {
  FaultsOf().nan_at_update = 9;
  EXPECT_THROW(Run("run"), Error);
  FaultsOf() = {};
  for (const auto& ref : nn::ListCheckpoints(folder_ / "run" / "checkpoints"))
    fs::resize_file(ref.folder / "state" / "training.safetensors", 10);
  const auto before = FilesOf(folder_ / "run");
  const std::string error = ErrorOf("run", {}, true, /*exit_code=*/1);
  EXPECT_NE(error.find("checkpoints of"), std::string::npos) << error;
  EXPECT_NE(error.find("cut short"), std::string::npos) << error;
  EXPECT_EQ(FilesOf(folder_ / "run"), before);
}

TEST_F(LanguageRunTest, AnAdaptersRunIsBoundToTheModelUnderIt) {
  ASSERT_EQ(Run("base"), 0);
  const fs::path model = folder_ / "base" / "model";
  const Assignments lora = {"model.path=" + model.string(), "data.tokenizer=model", "lora.rank=4"};
  FaultsOf().nan_at_update = 9;
  EXPECT_THROW(Run("run", lora), Error);
  FaultsOf() = {};
  const std::string weights = Text("base/model/model.safetensors");
  std::string other = weights;
  other.back() = static_cast<char>(other.back() ^ 1);
  Put("base/model/model.safetensors", other);
  const auto before = FilesOf(folder_ / "run");
  const std::string error = ErrorOf("run", lora, true);
  for (const char* part : {"cannot resume", "not what it was", "model.path"})
    EXPECT_NE(error.find(part), std::string::npos) << error;
  EXPECT_EQ(FilesOf(folder_ / "run"), before);
  EXPECT_THROW(EvaluateLanguage(folder_ / "run", {}, MakeFakeLearner), Error);
  // the model as it was, it goes on; one that is trained whole is not asked for it
  Put("base/model/model.safetensors", weights);
  ASSERT_EQ(Run("run", lora, /*resume=*/true), 0);
  const Assignments whole = {lora[0], lora[1]};
  FaultsOf().nan_at_update = 9;
  EXPECT_THROW(Run("whole", whole), Error);
  FaultsOf() = {};
  Put("base/model/model.safetensors", other);
  EXPECT_EQ(Run("whole", whole, /*resume=*/true), 0);
}

TEST_F(LanguageRunTest, ABadNumberStopsTheRunNamesTheBatchAndLeavesIt) {
  FaultsOf().nan_at_update = 7;
  const std::string error = ErrorOf("run", {}, false, /*exit_code=*/1);
  for (const char* part : {"update 7", "bigrams.weight", "nan", "run/bad_update_7"})
    EXPECT_NE(error.find(part), std::string::npos) << error;
  const auto batch =
      core::ReadSafetensors((folder_ / "run" / "bad_update_7" / "batch.safetensors").string());
  // the batch of this update and no other
  const LanguageConfig config =
      LoadLanguageConfig(ReadConfigTable((folder_ / "c.toml").string(), {}));
  const auto loaded = text::LoadText(config.data, nullptr);
  text::ShuffledBatches batches(loaded.train, config.seed, config.train.sequences);
  const text::TokenBatch expected = batches.Batch(7);
  ASSERT_EQ(expected.tokens.size(), 4u * 17);
  EXPECT_TRUE(std::ranges::equal(batch.Get<int32_t>("tokens"), expected.tokens));
  EXPECT_TRUE(std::ranges::equal(batch.Get<int32_t>("starts"), expected.starts));
  EXPECT_TRUE(std::ranges::equal(batch.Get<uint8_t>("is_target"), expected.is_target));
  EXPECT_TRUE(fs::exists(folder_ / "run" / "bad_update_7" / "model" / "tokenizer.json"));
  // the weights that seven updates (0 to 6) had made
  FaultsOf() = {};
  ASSERT_EQ(Run("every", {"checkpoint.every_updates=1"}), 0);
  const auto state = core::FromSafetensors(
      nn::ReadCheckpoint(nn::CheckpointFolder(folder_ / "every" / "checkpoints", 7))
          .at("state/training.safetensors")
          .bytes(),
      "checkpoint 7");
  EXPECT_EQ(state.GetScalar<int64_t>("loop/updates"), 7);
  const auto model = core::ReadSafetensors(
      (folder_ / "run" / "bad_update_7" / "model" / "model.safetensors").string());
  EXPECT_TRUE(std::ranges::equal(model.Get<float>("weights"), state.Get<float>("weights")));
  EXPECT_FALSE(fs::exists(folder_ / "run" / "summary.json"));
  // what cannot be written does not hide the error
  fs::remove_all(folder_ / "run" / "bad_update_7");
  Put("run/bad_update_7", "in the way");
  FaultsOf().nan_at_update = 7;
  const std::string again = ErrorOf("run", {}, true, /*exit_code=*/1);
  for (const char* part : {"update 7", "bigrams.weight", "nan", "could not be written"})
    EXPECT_NE(again.find(part), std::string::npos) << again;
  // the fault gone, it goes on
  FaultsOf() = {};
  ASSERT_EQ(Run("run", {}, /*resume=*/true), 0);
  ASSERT_EQ(Run("reference"), 0);
  ExpectSame("run", "reference");
}

TEST_F(LanguageRunTest, SamplesStandInTheReportEscaped) {
  ASSERT_EQ(Run("run"), 0);
  std::vector<int64_t> updates;
  std::ifstream in(folder_ / "run" / "samples.jsonl");
  for (std::string line; std::getline(in, line);) {
    const auto sample = nlohmann::json::parse(line);
    updates.push_back(sample["updates"]);
    EXPECT_EQ(sample["text"].get<std::string>().size(), 12u);
  }
  EXPECT_EQ(updates, (std::vector<int64_t>{4, 4, 8, 8, 12, 12}));
  const std::string html = Text("run/report.html");
  for (const char* part :
       {"<h2>Samples</h2>", "after 12 updates", "<b>&lt;b&gt;</b>", "<b>Loss</b>",
        "<b>Perplexity</b>", "held-out text", "<b>Learning rate</b>", "<b>Gradient norm</b>",
        "<b>Throughput</b>", "<b>FLOP utilisation</b>", "Final perplexity", "Where the time went"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(html.find("environment steps"), std::string::npos);
  const std::string shown = track::RunText(track::ReadRun(folder_ / "run"));
  for (const char* part : {"llama 4 x 128", "pretrain", "12 of 12", "768", "perplexity", "best"})
    EXPECT_NE(shown.find(part), std::string::npos) << shown;
  const auto runs = track::ScanRuns(folder_ / "run");
  const std::string table = track::RunsTable(runs);
  EXPECT_NE(table.find("  loss  "), std::string::npos) << table;
}

TEST_F(LanguageRunTest, ADryRunStartsNothing) {
  testing::internal::CaptureStdout();
  ASSERT_EQ(Run("run", {}, false, /*dry_run=*/true), 0);
  const std::string out = testing::internal::GetCapturedStdout();
  for (const char* part : {"nothing was started", "bigrams of", "held out", "12 of 4 sequences"})
    EXPECT_NE(out.find(part), std::string::npos) << out;
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(LanguageRunTest, LinesLearnCompletionsAndCountWhatIsCut) {
  std::string lines;
  for (int i = 0; i < 40; ++i) lines += i % 4 == 0 ? "a long prompt = and more\n" : "2 + 2 = 4\n";
  Put("lines.txt", lines);
  ASSERT_EQ(Run("run", {"stage=sft", "data.files=[\"" + (folder_ / "lines.txt").string() + "\"]",
                        "data.format=lines", "data.separator=\"= \"", "samples.prompts=[\"2 \"]"}),
            0);
  const auto metrics = track::ReadMetrics(folder_ / "run" / "metrics.jsonl");
  EXPECT_GT(metrics.Last("truncated_sequences"), 5);
  EXPECT_EQ(Json("run/summary.json")["truncated_lines"], 10);
}

TEST_F(LanguageRunTest, EvaluatesRunsCheckpointsAndModelFolders) {
  ASSERT_EQ(Run("run"), 0);
  EXPECT_TRUE(IsLanguagePath(folder_ / "run"));
  EXPECT_TRUE(IsLanguagePath(folder_ / "run" / "model"));
  EXPECT_FALSE(IsLanguagePath(folder_ / "nothing"));
  const auto evaluate = [&](const fs::path& path, EvaluateOptions options) {
    options.json = true;
    testing::internal::CaptureStdout();
    EXPECT_EQ(EvaluateLanguage(path, options, MakeFakeLearner), 0);
    const auto out = nlohmann::json::parse(testing::internal::GetCapturedStdout());
    return out["tasks"].front();
  };
  const auto loss = [](const nlohmann::json& task) -> double {
    return task["metrics"]["loss"]["value"];
  };
  const auto summary = Json("run/summary.json");
  const auto own = evaluate(folder_ / "run", {});
  EXPECT_EQ(own["n"], summary["eval_targets"]);
  EXPECT_NEAR(loss(own), summary["eval_loss"], 1e-12);
  EXPECT_EQ(own["notes"][0], "data.format text, context 16");
  EvaluateOptions other;
  other.data = {(folder_ / "text.txt").string()};
  const auto all = evaluate(folder_ / "run", other);
  EXPECT_GT(all["n"], own["n"]);
  other.context = 16;
  EXPECT_EQ(loss(evaluate(folder_ / "run" / "model", other)), loss(all));
  const auto checkpoints = nn::ListCheckpoints(folder_ / "run" / "checkpoints");
  ASSERT_GE(checkpoints.size(), 2u);
  EXPECT_TRUE(IsLanguagePath(checkpoints[1].folder));
  EXPECT_NE(loss(evaluate(checkpoints[1].folder, {})), loss(own));
  EXPECT_THROW(EvaluateLanguage(folder_ / "run" / "model", {}, MakeFakeLearner), Error);
}

TEST_F(LanguageRunTest, IsEvaluatedOnTheProcessorsWhereverItWasTrained) {
  ASSERT_EQ(Run("run"), 0);
  std::string config = Text("run/config.toml");
  const std::string device = "device = \"cpu\"";
  ASSERT_NE(config.find(device), std::string::npos);
  Put("run/config.toml", config.replace(config.find(device), device.size(), "device = \"cuda\""));
  std::string asked;
  const auto evaluate = [&](const fs::path& path, const std::string& on) {
    EvaluateOptions options;
    options.data = {(folder_ / "text.txt").string()};
    options.device = on;
    EXPECT_EQ(EvaluateLanguage(path, options,
                               [&](const rlhf::LearnerRequest& request) {
                                 asked = request.device;
                                 return MakeFakeLearner(request);
                               }),
              0);
    return asked;
  };
  EXPECT_EQ(evaluate(folder_ / "run", ""), "cpu");
  EXPECT_EQ(evaluate(folder_ / "run", "cpu"), "cpu");
  EXPECT_EQ(evaluate(folder_ / "run" / "model", ""), "cpu");
  EvaluateOptions wrong;
  wrong.device = "tpu";
  EXPECT_THROW(EvaluateLanguage(folder_ / "run", wrong, MakeFakeLearner), Error);
}

TEST_F(LanguageRunTest, BadConfigsAreRefusedWithOneClearLine) {
  const struct {
    Assignments set;
    const char* part;
  } table[] = {
      {{"data.files=[]"}, "data.files"},
      {{"data.files=[\"nothing.txt\"]"}, "does not exist"},
      {{"data.contxt=5"}, "data.context"},
      {{"data.context=0"}, "data.context"},
      {{"data.context=100000"}, "fewer than a window"},
      {{"data.tokenizer=model"}, "\"char\" or \"byte\""},
      {{"data.tokenizer=bpe"}, "data.tokenizer"},
      {{"data.tokenizer_path=folder"}, "data.tokenizer is not \"model\""},
      {{"data.tokenizer=model", "data.tokenizer_path=folder"}, "has no tokenizer"},
      {{"data.chat_template=chat.jinja"}, "hold no records"},
      {{"data.chat_template=chat.jinja", "data.files=[\"a.jsonl\"]"}, "is not \"model\""},
      {{"data.separator=x"}, "data.format"},
      {{"data.holdout=0"}, "nothing is held out"},
      {{"model.path=folder"}, "data.tokenizer"},
      {{"model.path=folder", "data.tokenizer=model"}, "has no tokenizer"},
      {{"model.path=folder", "model.width=64"}, "model.width"},
      {{"model.heads=5"}, "model.heads"},
      {{"model.family=bert"}, "model.family"},
      {{"model.vocab=3"}, "model.vocab"},
      {{"train.learning_rate=-1"}, "train.learning_rate"},
      {{"train.min_learning_rate=9"}, "train.min_learning_rate"},
      {{"train.schedule=step"}, "train.schedule"},
      {{"lora.rank=4"}, "model.path"},
      {{"lora.dropout=0.1"}, "lora.dropout"},
      {{"eval.every_updates=0", "eval.patience=3"}, "eval.every_updates"},
      {{"samples.prompts=[]"}, "samples.prompts"},
      {{"samples.prompts=[\"\"]"}, "empty prompt"},
      {{"samples.prompts=[\"~\"]"}, "'~'"},
      {{"device=tpu"}, "cpu or cuda"},
      {{"total_steps=100"}, "total_steps"},
  };
  for (const auto& bad : table) {
    const std::string error = ErrorOf("run", bad.set);
    EXPECT_NE(error.find(bad.part), std::string::npos) << bad.set[0] << ": " << error;
    EXPECT_FALSE(fs::exists(folder_ / "run")) << bad.set[0];
  }
}

TEST(Stage, ChoosesTheConfigAndIsChecked) {
  EXPECT_EQ(StageOf(core::Table()), Stage::kPpo);
  for (const Stage stage : {Stage::kPpo, Stage::kPretrain, Stage::kSft})
    EXPECT_EQ(StageOf(core::Table().WithString("stage", Name(stage))), stage);
  EXPECT_THROW(StageOf(core::Table().WithString("stage", "sfd")), Error);
}

TEST(LanguageConfigs, ThoseInTheRepositoryLoad) {
  int count = 0;
  for (const char* folder : {"configs/language", "configs/bench"}) {
    for (const auto& entry : fs::directory_iterator(fs::path(PAWL_SOURCE_DIR) / folder)) {
      const auto table = core::Table::ParseFile(entry.path().string());
      if (StageOf(table) == Stage::kPpo) continue;
      EXPECT_NO_THROW(LoadLanguageConfig(table)) << entry.path();
      ++count;
    }
  }
  EXPECT_GE(count, 3);
}

}  // namespace
}  // namespace pawl::train
