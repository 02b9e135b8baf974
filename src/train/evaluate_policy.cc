#include "train/evaluate_policy.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "core/thread_pool.h"
#include "envs/render.h"
#include "envs/video.h"
#include "track/runs.h"
#include "train/evaluate_language.h"
#include "train/evaluator.h"
#include "train/language_subject.h"
#include "train/run_folder.h"

namespace pawl::train {
namespace {
constexpr int kMaxVideoFrames = 450;
constexpr int kEpisodes = 100;
constexpr uint64_t kSeed = 1'000'003;

void PrintJson(const Evaluation& e, const std::string& checkpoint, const std::string& env) {
  nlohmann::ordered_json json = ToJson(e);
  json["checkpoint"] = checkpoint;
  json["env"] = env;
  std::printf("%s\n", json.dump().c_str());
}

void PrintTable(const Evaluation& e, const std::string& checkpoint, const std::string& env,
                bool stochastic) {
  std::printf("%s, %s\n", env.c_str(), checkpoint.c_str());
  std::printf("  episodes   %zu (%s)\n", e.episodes.size(),
              stochastic ? "stochastic" : "deterministic");
  if (e.has_success) {
    std::printf("  success    %.1f %%   95 %% interval %.1f to %.1f   (at any step: %.1f %%)\n",
                100 * e.success_rate, 100 * e.success_ci95.low, 100 * e.success_ci95.high,
                100 * e.success_any_rate);
  }
  std::printf("  return     %.2f   95 %% interval %.2f to %.2f\n", e.return_mean, e.return_ci95.low,
              e.return_ci95.high);
  std::printf("  length     %.1f steps\n", e.episode_length_mean);
}

// Before any work: only what MuJoCo simulates can be drawn.
void CheckPicture(const envs::Env& env) {
  if (dynamic_cast<const envs::MujocoView*>(&env)) return;
  throw UserError({.what = fmt::format("{} has no picture to make a video of", env.Spec().id),
                   .expected = "an environment simulated in MuJoCo (envs::MujocoView)"});
}

void CheckVideoPath(const std::filesystem::path& path) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (path.extension() != ".mp4" || !std::filesystem::is_directory(folder)) {
    throw UserError({.what = fmt::format("cannot write a video to '{}'", path.string()),
                     .where = "--video",
                     .expected = "a name that ends in .mp4, in a folder that is there"});
  }
}

// Options of the other kind of model would be ignored.
void CheckKind(const EvaluateOptions& options, bool language) {
  const auto refuse = [&](const char* option) {
    throw UserError(
        {.what = fmt::format("{} for a {}", option, language ? "language model" : "policy"),
         .where = option,
         .expected = language ? "the options of language models" : "the options of policies"});
  };
  if (language && options.episodes) refuse("--episodes");
  if (language && options.seed) refuse("--seed");
  if (language && !options.video.empty()) refuse("--video");
  if (language && !options.env_id.empty()) refuse("--env");
  if (language && options.stochastic) refuse("--stochastic");
  if (!language && !options.data.empty()) refuse("--data");
  if (!language && options.context > 0) refuse("--context");
  if (!language && options.stride > 0) refuse("--stride");
  if (!language && !options.tasks.empty()) refuse("--task");
  if (!language && !options.text.empty()) refuse("--text");
  if (!language && !options.against.empty()) refuse("--against");
  if (!language && !options.outputs.empty()) refuse("--outputs");
  const bool has_tasks = !options.tasks.empty() || !options.text.empty();
  if (has_tasks && !options.data.empty()) {
    throw UserError({.what = "--data beside tasks",
                     .where = "--data",
                     .expected = "--text FILE, or a task that names its files"});
  }
  if (!language && !options.device.empty()) refuse("--device");
}

}  // namespace

int EvaluateCommand(const EvaluateOptions& options) {
  const auto path = track::RunPath(options.path);
  if (!std::filesystem::exists(path)) {
    throw UserError({.what = fmt::format("'{}' does not exist", options.path),
                     .expected = "a run, a checkpoint, a policy's or a model's folder",
                     .hint = "`pawl runs list` shows the runs"});
  }
  const bool language = IsLanguagePath(path);
  CheckKind(options, language);
  if (language) return EvaluateLanguage(path, options);
  std::vector<std::string> skipped;
  const FoundCheckpoint found = FindCheckpoint(path, options.best, skipped);
  for (const auto& line : skipped) PAWL_LOG_WARN("{}", line);
  const nn::Policy policy = nn::PolicyFromFiles(found.files, found.folder.string());
  // the environment must still be the one the policy was trained for
  envs::EnvConfig here = policy.env;
  if (!options.env_id.empty()) {
    here.id = options.env_id;
    if (here.id != policy.env.id) here.args = {};
  }
  const int episodes = options.episodes.value_or(kEpisodes);
  const uint64_t seed = options.seed.value_or(kSeed);
  const auto env = envs::MakeEnv(here, seed, 0);
  const auto differences = nn::SpecDifferences(policy.spec, env->Spec());
  if (!differences.empty()) {
    std::string list;
    for (const auto& line : differences) list += (list.empty() ? "" : "; ") + line;
    throw UserError({.what = "the policy does not fit the environment: " + list,
                     .where = found.folder.string(),
                     .expected = "the environment it was trained for"});
  }
  if (!options.video.empty()) {
    CheckPicture(*env);
    CheckVideoPath(options.video);
  }
  const auto result = Evaluate(policy, {.episodes = episodes,
                                        .deterministic = !options.stochastic,
                                        .seed = seed,
                                        .threads = core::NumCores()});
  if (options.json) {
    PrintJson(result, found.folder.string(), policy.spec.id);
  } else {
    PrintTable(result, found.folder.string(), policy.spec.id, options.stochastic);
  }
  if (!options.video.empty()) {
    RecordVideo(policy, seed, std::min(episodes, kVideoEpisodes), options.video);
    if (!options.json) std::printf("  video      %s\n", options.video.c_str());
  }
  return 0;
}

bool RecordVideo(const nn::Policy& policy, uint64_t seed, int episodes, const std::string& path,
                 bool (*stop)()) {
  CheckPicture(*envs::MakeEnv(policy.env, seed, 0));
  const envs::FrameRate rate = envs::ChooseFrameRate(policy.spec.control_period_s);
  envs::Renderer renderer({});
  std::vector<uint8_t> rgb(renderer.size_bytes());
  envs::VideoWriter video(
      path,
      {.width = renderer.options().width, .height = renderer.options().height, .fps = rate.fps});
  const auto stopped = [stop] { return stop != nullptr && stop(); };
  for (int episode = 0; episode < episodes && !stopped(); ++episode) {
    int step = 0;
    Evaluate(policy, {.episodes = 1,
                      .first_episode = episode,
                      .deterministic = true,
                      .seed = seed,
                      .threads = 1,
                      .on_step = [&](const envs::Env& env) {
                        if (step++ % rate.stride != 0 || stopped() ||
                            video.num_frames() >= kMaxVideoFrames) {
                          return;
                        }
                        const auto& view = dynamic_cast<const envs::MujocoView&>(env);
                        renderer.Render(view.Scene(), rgb);
                        video.Add(rgb);
                      }});
  }
  if (stopped()) return false;
  video.Finish();
  return true;
}

}  // namespace pawl::train
