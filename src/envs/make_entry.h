// Makes a registry entry from a struct of keywords and a function: how the environments that come
// with Pawl stand in their tables, and how a user's own is registered.
//
//   RegisterEnv(MakeEntry<DockArgs>("DockPoint-v0", "bring a craft to rest at its berth",
//                                   [](const DockArgs& args) {
//                                     return std::make_unique<DockPoint>(args);
//                                   }));
#pragma once
#include <memory>
#include <string>
#include <utility>

#include "core/config.h"
#include "envs/registry.h"

namespace pawl::envs {

// An entry whose keywords are the config struct Args: make_env(args) returns the environment.
template <class Args, class MakeEnvFn>
EnvEntry MakeEntry(std::string id, std::string summary, MakeEnvFn make_env) {
  return {.id = std::move(id),
          .summary = std::move(summary),
          .make = [make_env](const EnvConfig& config, uint64_t, int) -> std::unique_ptr<Env> {
            Args args;
            core::LoadConfig(config.args, args, "env.args");
            return make_env(args);
          },
          .describe_args = [] { return core::DescribeConfig(Args(), "env.args"); }};
}

}  // namespace pawl::envs
