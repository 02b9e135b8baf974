#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "train/train_config.h"

namespace pawl::cli {
namespace {
constexpr const char* kMarkdownTitle =
    "# Config keys\n\n"
    "Made by `pawl config --markdown`; a test keeps it so. Defaults are those of "
    "Stable-Baselines3; the files in `configs/` show\n"
    "whole recipes. `--set key=value` overrides any key on the command line.\n\n";
}  // namespace

void AddConfig(CLI::App& app, int& exit_code) {
  struct Options {
    std::string path;
    std::vector<std::string> assignments;
    bool markdown = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("config", "Print the resolved config with help for every key");
  command->add_option("config", options->path, "config file; without one, the defaults");
  command->add_option("--set", options->assignments, "override a key (repeatable)")
      ->take_all()
      ->expected(1);
  command->add_flag("--markdown", options->markdown, "as docs/config.md");
  command->callback([options, &exit_code] {
    const auto config = options->path.empty() && options->assignments.empty()
                            ? train::TrainConfig{}
                            : train::LoadTrainConfig(options->path, options->assignments);
    const auto fields = core::DescribeConfig(config);
    if (options->markdown) std::fputs(kMarkdownTitle, stdout);
    std::fputs(
        (options->markdown ? core::ToMarkdown(fields) : core::ToTomlWithHelp(fields)).c_str(),
        stdout);
    exit_code = 0;
  });
}

}  // namespace pawl::cli
