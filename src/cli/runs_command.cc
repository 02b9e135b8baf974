#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace pawl::cli {

void AddRuns(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("runs", "List runs");
  command->callback([&exit_code] { exit_code = 0; });
}

}  // namespace pawl::cli
