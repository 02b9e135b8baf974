#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "envs/registry.h"

namespace pawl::cli {
namespace {

void ListEnvs() {
  for (const auto& entry : envs::Entries())
    std::printf("%-28s %s\n", entry.id.c_str(), entry.summary.c_str());
}

void ShowEnv(const std::string& id, const std::string& rig) {
  const auto& entry = envs::FindEnv(id);
  envs::EnvConfig config;
  config.id = id;
  config.rig = rig;
  const auto env = envs::MakeEnv(config, 1, 0);
  const auto& spec = env->Spec();
  std::printf("%s (version %s): %s\n", spec.id.c_str(), spec.version.c_str(),
              entry.summary.c_str());
  std::printf("time limit %d steps, %g s a step\n\nobservation (%d numbers)\n",
              spec.max_episode_steps, spec.control_period_s, spec.ObservationSize());
  for (const auto& part : spec.observation) {
    std::printf("  %-28s %4d  %s\n", part.name.c_str(), part.size, part.unit.c_str());
  }
  std::printf("action\n");
  if (spec.action.discrete()) std::printf("  one of %d choices\n", spec.action.num_choices);
  for (size_t i = 0; i < spec.action.low.size(); ++i) {
    const std::string name = i < spec.action.names.size() ? spec.action.names[i] : "";
    std::printf("  %-28s [%g, %g]\n", name.c_str(), spec.action.low[i], spec.action.high[i]);
  }
  std::printf("\nkeywords (env.args.*)\n%s", core::ToTomlWithHelp(entry.describe_args()).c_str());
}

}  // namespace

void AddEnvs(CLI::App& app, int& exit_code) {
  auto id = std::make_shared<std::string>();
  auto rig = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("envs", "List the environments, or show one with its keywords");
  command->add_option("id", *id, "environment to show");
  command->add_option("--rig", *rig, "arm tasks: TOML file of the robot");
  command->callback([id, rig, &exit_code] {
    id->empty() ? ListEnvs() : ShowEnv(*id, *rig);
    exit_code = 0;
  });
}

}  // namespace pawl::cli
