#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "train/language_config.h"
#include "train/task_config.h"
#include "train/train_config.h"

namespace pawl::cli {
namespace {
constexpr const char* kMarkdownTitle =
    "# Config keys\n\n"
    "Made by `pawl config --markdown`; a test keeps it so. The top-level key `stage` says which of "
    "the two first tables below a file is read\n"
    "by, the third is of task files (evaluation.md). Defaults of `ppo` are those of "
    "Stable-Baselines3; the files in `configs/` show whole "
    "recipes. `--set key=value` overrides any\n"
    "key on the command line.\n\n";

std::vector<core::FieldDoc> FieldsOf(const std::string& path,
                                     const std::vector<std::string>& assignments) {
  if (path.empty() && assignments.empty()) return core::DescribeConfig(train::TrainConfig{});
  const core::Table table = train::ReadConfigTable(path, assignments);
  return train::StageOf(table) == train::Stage::kPpo
             ? core::DescribeConfig(train::LoadTrainConfig(table))
             : core::DescribeConfig(train::LoadLanguageConfig(table));
}

// docs/config.md: the defaults of every stage; or one config.
std::string Markdown(const std::string& path, const std::vector<std::string>& assignments) {
  if (!path.empty() || !assignments.empty()) return core::ToMarkdown(FieldsOf(path, assignments));
  return std::string(kMarkdownTitle) + "# Stage `ppo`\n\n" +
         core::ToMarkdown(core::DescribeConfig(train::TrainConfig{})) +
         "\n# Stages `pretrain` and `sft`\n\n" +
         core::ToMarkdown(core::DescribeConfig(train::LanguageConfig{})) +
         "\n# Tasks of `pawl eval`\n\n" +
         core::ToMarkdown(core::DescribeConfig(train::TaskConfig{}));
}
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
    const std::string text =
        options->markdown ? Markdown(options->path, options->assignments)
                          : core::ToTomlWithHelp(FieldsOf(options->path, options->assignments));
    std::fputs(text.c_str(), stdout);
    exit_code = 0;
  });
}

}  // namespace pawl::cli
