#include "train/launch.h"

#include <cstdio>

#include "core/log.h"
#include "track/report.h"

namespace pawl::train {

int Launch(const TrainOptions& options, const StagePlan& plan) {
  const auto path = options.run_folder.empty() ? DefaultRunFolder(options.config_path)
                                               : std::filesystem::path(options.run_folder);
  if (options.dry_run) {
    if (options.resume) {
      OpenRunFolder(path, plan.config);
    } else {
      CheckRunFolderIsNew(path);
    }
    std::printf("config is valid; nothing was started\n%s  run folder   %s%s\n",
                plan.dry_run_lines.c_str(), path.c_str(), options.resume ? ", resumed" : "");
    return 0;
  }
  const RunFolder folder =
      options.resume ? OpenRunFolder(path, plan.config) : CreateRunFolder(path, plan.config);
  if (options.resume && !folder.longer && std::filesystem::exists(folder.summary())) {
    if (!std::filesystem::exists(folder.report())) track::WriteReport(folder.path);
    const std::string more = StoppedEarly(folder)
                                 ? "it stopped early"
                                 : fmt::format("a larger {} goes on", plan.config.length_key);
    std::printf("run '%s' is finished already; nothing to do (%s)\n", path.c_str(), more.c_str());
    return 0;
  }
  core::StartLog({.file = folder.log().string()});
  try {
    return plan.run(folder);
  } catch (const std::exception& error) {
    PAWL_LOG_DEBUG("stopped: {}", error.what());  // for log.txt; main tells the terminal
    throw;
  }
}

}  // namespace pawl::train
