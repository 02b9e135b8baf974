#include "train/train_run.h"

#include <cmath>
#include <limits>
#include <optional>

#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/thread_pool.h"
#include "envs/mujoco_view.h"
#include "train/collector.h"
#include "train/evaluate_policy.h"
#include "train/evaluator.h"
#include "train/interrupt.h"
#include "train/language_run.h"
#include "train/launch.h"
#include "train/ppo_summary.h"
#include "train/run_checkpoints.h"
#include "train/run_folder.h"
#include "train/run_output.h"

namespace pawl::train {
namespace {
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Counters of the loop itself; with the collector's and the learner's states they are the whole
// training state.
struct LoopState {
  int64_t updates = 0;
  double time_s = 0;  // wall clock over all resumes
  // success rate, or return where there is no success
  BestScore best{.score = -std::numeric_limits<double>::infinity()};
  bool reached_goal = false;  // an evaluation passed eval.stop_at_*
  CollectSeconds collect;     // of earlier processes of this run
  double learning_s = 0, other_s = 0;
};

std::string NetworkText(const kernels::MlpShape& shape) {
  static constexpr const char* kActivations[] = {"tanh", "relu", "elu"};
  static constexpr const char* kHeads[] = {"gaussian", "squashed", "categorical"};
  return fmt::format("{} {}{} {}", fmt::join(shape.hidden, "-"),
                     kActivations[static_cast<int>(shape.activation)],
                     shape.shared ? " shared" : "", kHeads[static_cast<int>(shape.head)]);
}

// The policy that init_from names. Throws UserError where it is not of this environment, network
// and normalisation: its weights would mean something else here.
nn::Policy InitialPolicy(const TrainConfig& config, const envs::EnvSpec& spec,
                         const kernels::MlpShape& shape) {
  std::vector<std::string> skipped;
  const FoundCheckpoint found = FindCheckpoint(config.init_from, /*best=*/false, skipped);
  for (const auto& line : skipped) PAWL_LOG_WARN("{}", line);
  nn::Policy policy = nn::PolicyFromFiles(found.files, found.folder.string());
  auto differences = nn::SpecDifferences(policy.spec, spec);
  const auto& there = policy.shape;
  if (there.hidden != shape.hidden || there.activation != shape.activation ||
      there.shared != shape.shared || there.head != shape.head) {
    differences.push_back(
        fmt::format("policy: trained with {}, here {}", NetworkText(there), NetworkText(shape)));
  }
  if (policy.normalizer.observation != config.normalize.observation) {
    differences.push_back(fmt::format("normalize.observation: trained with {}, here {}",
                                      policy.normalizer.observation, config.normalize.observation));
  }
  if (!differences.empty()) {
    throw UserError({.what = fmt::format("init_from '{}' does not fit this run ({})",
                                         config.init_from, fmt::join(differences, "; ")),
                     .where = "init_from",
                     .expected = "a policy of the same environment, network and normalisation"});
  }
  return policy;
}

// A rollout for a file: what the learner saw.
core::ArrayMap RolloutArrays(const rollout::TrajectoryBatch& batch) {
  const int64_t t = batch.time, b = batch.batch;
  core::ArrayMap arrays;
  const auto put = [&arrays](const char* name, const auto* values, std::vector<int64_t> shape) {
    using T = std::remove_cvref_t<decltype(*values)>;
    size_t count = 1;
    for (const int64_t dimension : shape) count *= static_cast<size_t>(dimension);
    arrays.Put<T>(name, {values, count}, std::move(shape));
  };
  put("observation", batch.observation, {t, b, batch.obs});
  put("action", batch.action, {t, b, batch.act});
  put("log_prob", batch.log_prob, {t, b});
  put("value", batch.value, {t, b});
  put("reward", batch.reward, {t, b});
  put("terminated", batch.terminated, {t, b});
  put("truncated", batch.truncated, {t, b});
  put("final_value", batch.final_value, {t, b});
  put("last_value", batch.last_value, {b});
  return arrays;
}

class TrainRun {
 public:
  TrainRun(const TrainConfig& config, const RunFolder& folder)
      : config_(config),
        folder_(folder),
        probe_(envs::MakeEnv(config.env, config.seed, 0)),
        shape_(nn::MakeShape(config.policy, probe_->Spec())),
        learner_(config.ppo, config.policy, shape_, config.seed, config.device),
        collector_(config, probe_->Spec(), shape_, folder.path.string()),
        output_(folder),
        checkpoints_(folder, config.checkpoint) {}

  int Run(bool resume);

 private:
  void GoOn(bool resume);
  void Load(const FoundCheckpoint& from);
  void StartFresh();
  void Begin();
  void Update();
  algos::UpdateMetrics Learn(const rollout::TrajectoryBatch& batch, double progress);
  track::Metrics UpdateMetrics(const algos::UpdateMetrics& learned, double steps_per_s) const;
  bool EvaluateDue(track::Metrics& metrics);
  void SaveCheckpoint();
  void EvaluateAtTheEnd(RunSummary& summary);
  void RecordAtTheEnd(RunSummary& summary);
  nn::Policy CurrentPolicy() const;
  Evaluation EvaluateNow(int episodes) const;
  double Elapsed() const { return state_.time_s + (core::MonotonicSeconds() - started_); }
  bool Done() const { return collector_.env_steps() >= config_.total_steps; }

  TrainConfig config_;
  RunFolder folder_;
  std::unique_ptr<envs::Env> probe_;
  kernels::MlpShape shape_;
  algos::PpoLearner learner_;
  Collector collector_;
  LoopState state_;
  RunOutput output_;
  RunCheckpoints checkpoints_;
  double started_ = core::MonotonicSeconds();
};

int TrainRun::Run(bool resume) {
  GoOn(resume);
  Begin();
  InstallInterruptHandler();
  while (!Done() && !state_.reached_goal) {
    Update();
    if (Interrupted()) break;
  }
  if (!checkpoints_.IsSaved(state_.updates)) SaveCheckpoint();
  checkpoints_.Wait();
  RunSummary summary{.env_steps = collector_.env_steps(),
                     .updates = state_.updates,
                     .time_s = Elapsed(),
                     .stopped_early = state_.reached_goal};
  if (!Interrupted()) EvaluateAtTheEnd(summary);
  if (Interrupted()) {
    output_.Interrupted(state_.updates, fmt::format("{} steps", collector_.env_steps()));
    return 130;
  }
  RecordAtTheEnd(summary);  // interrupted here, the run ends without a video
  FinishPpo(summary, config_, folder_, output_);
  return Interrupted() ? 130 : 0;
}

// From the newest checkpoint, or from the start. All that may refuse comes before the first change
// of the run.
void TrainRun::GoOn(bool resume) {
  const auto from = resume ? checkpoints_.FindNewest() : std::nullopt;
  if (from) {
    Load(*from);
  } else {
    StartFresh();
  }
  AcceptLength(folder_, DescribeRun(config_));
  checkpoints_.Begin(state_.updates, from ? &*from : nullptr, state_.best);
  output_.CutBack(state_.updates, from ? collector_.env_steps() : 0);
  if (from) {
    PAWL_LOG_INFO("resumed from {} ({} updates, {} steps)", from->folder.string(), state_.updates,
                  collector_.env_steps());
  }
}

void TrainRun::StartFresh() {
  if (!config_.init_from.empty()) {
    const nn::Policy policy = InitialPolicy(config_, probe_->Spec(), shape_);
    learner_.SetWeights(policy.weights.span());
    collector_.normalizer().StartFrom(policy.normalizer);
    PAWL_LOG_INFO("weights and normaliser from {}", config_.init_from);
  }
  collector_.Start(learner_.Weights());
}

// The start-up line, and the files that grow.
void TrainRun::Begin() {
  PAWL_LOG_INFO("{} in {}: {} environment{} on {}, update by {}", config_.env.id,
                folder_.path.string(), config_.env.num_envs, config_.env.num_envs == 1 ? "" : "s",
                collector_.actors().Description(), learner_.PathDescription());
  output_.Open({.total_steps = config_.total_steps, .first_step = collector_.env_steps()});
}

void TrainRun::Load(const FoundCheckpoint& from) {
  const std::string source = from.folder.string();
  const auto arrays = core::FromSafetensors(nn::FileIn(from.files, kTrainingState, source), source);
  learner_.Load(arrays);
  collector_.Load(arrays);
  state_.updates = arrays.GetScalar<int64_t>("loop/updates");
  state_.best.score = arrays.GetScalar<double>("loop/best");
  state_.best.step = arrays.GetScalar<int64_t>("loop/best_step");
  state_.reached_goal = arrays.GetScalar<int64_t>("loop/reached_goal") != 0;
  const auto clocks = core::FromSafetensors(nn::FileIn(from.files, kClocks, source), source);
  state_.time_s = clocks.GetScalar<double>("time_s");
  const auto seconds = clocks.Get<double>("phases");
  PAWL_CHECK_EQ(seconds.size(), 7u, "{}: phases", source);
  state_.collect = {seconds[0], seconds[1], seconds[2], seconds[3], seconds[4]};
  state_.learning_s = seconds[5];
  state_.other_s = seconds[6];
}

void TrainRun::Update() {
  const double begin = core::MonotonicSeconds();
  const int64_t steps_before = collector_.env_steps();
  const double progress = std::min(1.0, static_cast<double>(steps_before) / config_.total_steps);
  const auto batch = collector_.Collect(learner_.Weights(), state_.updates);
  const double collected = core::MonotonicSeconds();
  const auto learned = Learn(batch, progress);
  const double end = core::MonotonicSeconds();
  state_.learning_s += end - collected;
  ++state_.updates;
  auto metrics = UpdateMetrics(learned, (collector_.env_steps() - steps_before) / (end - begin));
  const bool new_best = EvaluateDue(metrics);
  output_.Write(collector_.env_steps(), metrics);
  if (state_.updates == 1) {
    PAWL_LOG_DEBUG("first update done; largest log-ratio of its first minibatch {:g}",
                   track::Value(metrics, "first_minibatch_max_log_ratio"));
  }
  const double written = core::MonotonicSeconds();
  state_.other_s += written - end;
  // the end saves by itself
  if (new_best || (!Done() && checkpoints_.Due(state_.updates))) SaveCheckpoint();
  state_.other_s += core::MonotonicSeconds() - written;
}

// An update that fails leaves behind what is needed to look into it: the last good weights (`pawl
// eval` takes the folder) and the rollout.
algos::UpdateMetrics TrainRun::Learn(const rollout::TrajectoryBatch& batch, double progress) {
  try {
    return learner_.Update(batch, state_.updates, progress);
  } catch (const Error& error) {
    const auto folder = folder_.path / fmt::format("bad_update_{}", state_.updates);
    ThrowBadUpdate(error, folder, [&] {
      nn::CheckpointFiles files;
      nn::AddPolicyFiles(CurrentPolicy(), files);
      files["policy/rollout.safetensors"] = core::ToSafetensors(RolloutArrays(batch));
      for (const auto& [name, bytes] : files)
        core::WriteFileAtomic(folder / std::filesystem::path(name).filename(), bytes);
      return fmt::format("last good weights and the rollout are in {}", folder.string());
    });
  }
}

track::Metrics TrainRun::UpdateMetrics(const algos::UpdateMetrics& learned,
                                       double steps_per_s) const {
  const auto window = collector_.episodes().Mean();
  const CollectSeconds& now = collector_.seconds();
  const CollectSeconds& before = state_.collect;
  track::Metrics metrics = {
      {"time_s", Elapsed()},
      {"env_steps", static_cast<double>(collector_.env_steps())},
      {"updates", static_cast<double>(state_.updates)},
      {"steps_per_s", steps_per_s},
      {"episodes", static_cast<double>(collector_.episodes().total())},
      {"episode_return", window.episode_return},
      {"episode_length", window.length},
      {"success_rate", probe_->Spec().has_success ? window.success : kNaN},
      {"diverged_episodes", static_cast<double>(collector_.diverged_episodes())},
  };
  metrics.insert(metrics.end(), learned.begin(), learned.end());
  const double physics = before.physics + now.physics,
               observation = before.observation + now.observation;
  const double inference = before.inference + now.inference,
               transport = before.transport + now.transport;
  const double other = before.finish + now.finish + state_.other_s;
  metrics.insert(metrics.end(), {{"physics_s", physics},
                                 {"observation_s", observation},
                                 {"inference_s", inference},
                                 {"learning_s", state_.learning_s},
                                 {"transport_s", transport},
                                 {"other_s", other}});
  return metrics;
}

// Adds the evaluation's metrics where one is due (null otherwise). True: the best policy so far, to
// be saved now.
bool TrainRun::EvaluateDue(track::Metrics& metrics) {
  const EvalConfig& eval = config_.eval;
  if (eval.every_updates == 0 || state_.updates % eval.every_updates != 0) {
    for (const char* name : {"eval_return", "eval_return_low", "eval_return_high",
                             "eval_success_rate", "eval_success_low", "eval_success_high"}) {
      metrics.emplace_back(name, kNaN);
    }
    return false;
  }
  const Evaluation result = EvaluateNow(eval.episodes);
  const bool success = result.has_success;
  metrics.insert(metrics.end(), {{"eval_return", result.return_mean},
                                 {"eval_return_low", result.return_ci95.low},
                                 {"eval_return_high", result.return_ci95.high},
                                 {"eval_success_rate", success ? result.success_rate : kNaN},
                                 {"eval_success_low", success ? result.success_ci95.low : kNaN},
                                 {"eval_success_high", success ? result.success_ci95.high : kNaN}});
  if (eval.stop_at_success > 0 && success && result.success_rate >= eval.stop_at_success)
    state_.reached_goal = true;
  if (eval.stop_at_return != 0 && result.return_mean >= eval.stop_at_return)
    state_.reached_goal = true;
  const double score = success ? result.success_rate : result.return_mean;
  const bool best = score > state_.best.score;
  PAWL_LOG_INFO(
      "evaluation at {} steps: {}return {:.2f} ({:.2f} to {:.2f}){}", collector_.env_steps(),
      success ? fmt::format("success {:.1f} % ({:.1f} to {:.1f}), ", 100 * result.success_rate,
                            100 * result.success_ci95.low, 100 * result.success_ci95.high)
              : "",
      result.return_mean, result.return_ci95.low, result.return_ci95.high,
      best ? ", the best so far" : "");
  if (!best) return false;
  state_.best = {.score = score, .step = collector_.env_steps()};
  return true;
}

nn::Policy TrainRun::CurrentPolicy() const {
  nn::Policy policy{.env = config_.env,
                    .spec = probe_->Spec(),
                    .shape = shape_,
                    .normalizer = collector_.normalizer().Snapshot(),
                    .weights = kernels::AlignedBuffer(learner_.Weights().size())};
  std::copy(learner_.Weights().begin(), learner_.Weights().end(), policy.weights.data());
  return policy;
}

Evaluation TrainRun::EvaluateNow(int episodes) const {
  return Evaluate(CurrentPolicy(), {.episodes = episodes,
                                    .deterministic = config_.eval.deterministic,
                                    .seed = config_.seed,
                                    .threads = core::NumCores()});
}

void TrainRun::SaveCheckpoint() {
  nn::CheckpointFiles files;
  nn::AddPolicyFiles(CurrentPolicy(), files);
  core::ArrayMap arrays;
  learner_.Save(arrays);
  collector_.Save(arrays);
  arrays.PutScalar<int64_t>("loop/updates", state_.updates);
  arrays.PutScalar<double>("loop/best", state_.best.score);
  arrays.PutScalar<int64_t>("loop/best_step", state_.best.step);
  arrays.PutScalar<int64_t>("loop/reached_goal", state_.reached_goal);
  files[kTrainingState] = core::ToSafetensors(arrays);
  core::ArrayMap clocks;
  clocks.PutScalar<double>("time_s", Elapsed());
  const CollectSeconds& now = collector_.seconds();
  const CollectSeconds& before = state_.collect;
  const std::vector<double> phases = {before.physics + now.physics,
                                      before.observation + now.observation,
                                      before.inference + now.inference,
                                      before.transport + now.transport,
                                      before.finish + now.finish,
                                      state_.learning_s,
                                      state_.other_s};
  clocks.Put<double>("phases", phases, {static_cast<int64_t>(phases.size())});
  files[kClocks] = core::ToSafetensors(clocks);
  output_.Flush();  // no checkpoint before the metrics up to it are on the disk
  checkpoints_.Save(collector_.env_steps(), state_.updates, std::move(files), state_.best);
}

void TrainRun::EvaluateAtTheEnd(RunSummary& summary) {
  if (config_.eval.final_episodes == 0) return;
  output_.Closing(fmt::format("evaluating {} episodes", config_.eval.final_episodes));
  const double begin = core::MonotonicSeconds();
  summary.evaluation = EvaluateNow(config_.eval.final_episodes);
  summary.evaluation_s = core::MonotonicSeconds() - begin;
}

void TrainRun::RecordAtTheEnd(RunSummary& summary) {
  if (!config_.eval.video || dynamic_cast<const envs::MujocoView*>(probe_.get()) == nullptr) return;
  output_.Closing("recording a video");
  const double begin = core::MonotonicSeconds();
  try {
    summary.video = RecordVideo(CurrentPolicy(), config_.seed, kVideoEpisodes,
                                folder_.video().string(), Interrupted);
    if (!summary.video) PAWL_LOG_INFO("no video: interrupted");
  } catch (const Error& error) {
    PAWL_LOG_WARN("no video: {}", error.what());
  }
  summary.video_s = core::MonotonicSeconds() - begin;
}

// What can only be checked by making it: environment, network, update path, first weights.
// Returns the lines that --dry-run prints.
std::string CheckRun(const TrainConfig& config) {
  const auto env = envs::MakeEnv(config.env, config.seed, 0);
  const auto& spec = env->Spec();
  const auto shape = nn::MakeShape(config.policy, spec);
  const algos::PpoLearner learner(config.ppo, config.policy, shape, config.seed, config.device);
  if (!config.init_from.empty()) InitialPolicy(config, spec, shape);
  const int64_t per_update = int64_t{config.ppo.horizon} * config.env.num_envs;
  const int64_t warmup = int64_t{WarmupSteps(config)} * config.env.num_envs;
  const int64_t updates =
      (std::max<int64_t>(0, config.total_steps - warmup) + per_update - 1) / per_update;
  return fmt::format(
      "  environment  {} (version {}), {} in parallel, observation {}, action {}\n"
      "  updates      {} of {} steps ({} environments x {} steps)\n"
      "  update path  {}\n",
      spec.id, spec.version, config.env.num_envs, spec.ObservationSize(), spec.action.size, updates,
      per_update, config.env.num_envs, config.ppo.horizon, learner.PathDescription());
}

int TrainPpo(const TrainOptions& options, const core::Table& table) {
  const TrainConfig config = LoadTrainConfig(table);
  LoadDevice(config.device);
  StagePlan plan;
  plan.config = DescribeRun(config);
  plan.dry_run_lines = CheckRun(config);  // before the first file is written
  plan.run = [&](const RunFolder& folder) {
    TrainRun run(config, folder);
    return run.Run(options.resume);
  };
  return Launch(options, plan);
}

}  // namespace

int Train(const TrainOptions& options) {
  const core::Table table = ReadConfigTable(options.config_path, options.assignments);
  return StageOf(table) == Stage::kPpo ? TrainPpo(options, table) : TrainLanguage(options, table);
}

}  // namespace pawl::train
