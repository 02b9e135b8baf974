#include "cli/main.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "cli/command.h"
#include "core/error.h"
#include "core/log.h"
#include "envs/mujoco_log.h"
#include "train/actor_process.h"

namespace pawl::cli {
namespace {
// CLI11 says only that some sub-command is required.
void CheckSubcommand(const CLI::App& app, const std::string& word) {
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(command->get_name());
  }
  if (std::find(known.begin(), known.end(), word) != known.end()) return;
  const std::string nearest = NearestName(word, known);
  throw UserError({.what = fmt::format("there is no command '{}'", word),
                   .expected = fmt::format("one of {}", fmt::join(known, ", ")),
                   .hint = nearest.empty() ? fmt::format("see {} --help", app.get_name())
                                           : fmt::format("did you mean '{}'?", nearest)});
}
}  // namespace

int Main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], train::kActorArgument) == 0) {
    return train::ActorProcessMain(std::atoi(argv[2]));
  }
  // deprecated words in a model that came with Pawl are nothing its user could change
  envs::SetModelWarningSink([](const envs::ModelWarning& warning) {
    const auto level = warning.own ? core::LogLevel::kWarn : core::LogLevel::kDebug;
    PAWL_LOG_(level, "{}: {}", warning.path, warning.text);
  });
  CLI::App app{
      "Pawl trains policies by reinforcement learning: robot arms and other tasks in simulation."};
  // a program with environments of its own (examples/custom_env) goes by its own name
  const std::string name = std::filesystem::path(argv[0]).filename();
  app.name(name);
  app.require_subcommand(1);
  app.set_version_flag("--version", PAWL_VERSION);
  int exit_code = 0;
  AddTrain(app, exit_code);
  AddEval(app, exit_code);
  AddConfig(app, exit_code);
  AddDoctor(app, exit_code);
  AddEnvs(app, exit_code);
  AddRuns(app, exit_code);
  try {
    if (argc > 1 && argv[1][0] != '-') CheckSubcommand(app, argv[1]);
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "%s: %s (see %s --help)\n", name.c_str(), error.what(), name.c_str());
    return 2;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), error.what());
    return error.exit_code();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name.c_str(), error.what());
    return 1;
  }
  return exit_code;
}

}  // namespace pawl::cli
