#include "train/data_command.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "core/config.h"

namespace pawl::cli {

void AddData(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("data", "Look into data files");
  command->require_subcommand(1);
  auto options = std::make_shared<train::InspectOptions>();
  auto settings = std::make_shared<std::vector<std::string>>();
  CLI::App* inspect = command->add_subcommand(
      "inspect",
      "Count records, kinds and lengths, show the first ones with what is learned of them, name "
      "bad lines");
  inspect->add_option("files", options->data.files, "text or JSON-lines files, plain or gzip")
      ->required();
  inspect->add_option("--tokenizer", options->tokenizer,
                      "count tokens: \"byte\", or a folder with a tokenizer.json");
  inspect
      ->add_option("--set", *settings,
                   "a key of [data]: --set columns.completion=response (repeatable)")
      ->take_all()
      ->expected(1);
  inspect->add_option("--show", options->show, "records to show")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  inspect->add_flag("--json", options->json, "print one JSON object and nothing else");
  inspect->callback([options, settings, &exit_code] {
    core::Table table;
    for (const std::string& setting : *settings)  // with or without the section's name
      table = table.WithOverride(setting.starts_with("data.") ? setting.substr(5) : setting);
    const auto files = options->data.files;
    core::LoadConfig(table, options->data);
    options->data.files = files;
    text::CheckDataConfig(options->data);
    exit_code = train::InspectCommand(*options);
  });
}

}  // namespace pawl::cli
