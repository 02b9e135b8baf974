#include "train/ppo_summary.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "nn/checkpoint.h"

namespace pawl::train {
namespace {

void PrintEvaluation(const Evaluation& e, bool deterministic) {
  if (e.has_success) {
    std::printf("  success       %5.1f %%   (95 %% interval %.1f to %.1f, %zu %s episodes)\n",
                100 * e.success_rate, 100 * e.success_ci95.low, 100 * e.success_ci95.high,
                e.episodes.size(), deterministic ? "deterministic" : "stochastic");
  }
  std::printf("  return        %7.2f   (95 %% interval %.2f to %.2f)\n", e.return_mean,
              e.return_ci95.low, e.return_ci95.high);
}

nlohmann::ordered_json Figures(const RunSummary& summary) {
  nlohmann::ordered_json json;
  if (summary.evaluation) json = ToJson(*summary.evaluation);
  json.update({{"env_steps", summary.env_steps},
               {"updates", summary.updates},
               {"time_s", summary.time_s},
               {"evaluation_s", summary.evaluation_s},
               {"video_s", summary.video_s},
               {"stopped_early", summary.stopped_early}});
  return json;
}
}  // namespace

void FinishPpo(const RunSummary& summary, const TrainConfig& config, const RunFolder& folder,
               RunOutput& output) {
  output.EndProgress();
  output.Flush();
  std::printf("\n%s: %lld steps, %lld updates in %.1f s of training%s\n", config.env.id.c_str(),
              static_cast<long long>(summary.env_steps), static_cast<long long>(summary.updates),
              summary.time_s,
              summary.stopped_early ? " (stopped early: the evaluation reached its goal)" : "");
  if (summary.evaluation) PrintEvaluation(*summary.evaluation, config.eval.deterministic);
  output.PrintWhereTimeWent(
      {"physics", "observation", "inference", "learning", "transport", "other"});
  if (summary.evaluation) std::printf("  and then      evaluation %.1f s", summary.evaluation_s);
  if (summary.video)
    std::printf("%s video %.1f s", summary.evaluation ? "," : "  and then     ", summary.video_s);
  if (summary.evaluation || summary.video) std::printf("\n");
  output.WriteSummary(Figures(summary));
  std::printf("  checkpoint    %s\n",
              nn::CheckpointFolder(folder.checkpoints(), summary.env_steps).c_str());
  if (summary.video) std::printf("  video         %s\n", folder.video().c_str());
  std::printf("  report        %s\n", folder.report().c_str());
}

}  // namespace pawl::train
