#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "train/train_run.h"

namespace pawl::cli {

void AddTrain(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<train::TrainOptions>();
  CLI::App* command =
      app.add_subcommand("train", "Train a policy or a language model from a config file");
  command->add_option("config", options->config_path, "config file (TOML)")
      ->required()
      ->check(CLI::Validator([](const std::string& path) { return path.empty() ? "is empty" : ""; },
                             ""));
  command->add_option("--run", options->run_folder,
                      "run folder; default runs/<name of the config>");
  command
      ->add_option("--set", options->assignments,
                   "override a key: --set ppo.gamma=0.98 (repeatable)")
      ->take_all()
      ->expected(1);
  command->add_flag("--resume", options->resume,
                    "go on from the newest checkpoint of the run folder");
  command->add_flag("--dry-run", options->dry_run,
                    "check the config and say what would run, then stop");
  command->callback([options, &exit_code] { exit_code = train::Train(*options); });
}

}  // namespace pawl::cli
