#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "track/report.h"
#include "track/runs.h"

namespace pawl::cli {

void AddRuns(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("runs", "List runs, show one, or write its report again");
  command->require_subcommand(1);
  auto root = std::make_shared<std::string>("runs");
  CLI::App* list = command->add_subcommand("list", "Every run in a folder");
  list->add_option("folder", *root, "where to look")->capture_default_str();
  list->callback([root, &exit_code] {
    const auto runs = track::ScanRuns(*root);
    if (runs.empty()) {
      std::printf("no runs in %s\n", root->c_str());
    } else {
      std::fputs(track::RunsTable(runs).c_str(), stdout);
    }
    exit_code = 0;
  });
  auto run = std::make_shared<std::string>();
  CLI::App* show = command->add_subcommand("show", "Everything known of one run");
  show->add_option("run", *run, "run folder")->required();
  show->callback([run, &exit_code] {
    std::fputs(track::RunText(track::ReadRun(track::RunPath(*run))).c_str(), stdout);
    exit_code = 0;
  });
  CLI::App* report = command->add_subcommand("report", "Write report.html of a run (again)");
  report->add_option("run", *run, "run folder")->required();
  report->callback([run, &exit_code] {
    std::printf("%s\n", track::WriteReport(track::RunPath(*run)).c_str());
    exit_code = 0;
  });
}

}  // namespace pawl::cli
