// Every environment by name. Users add their own with RegisterEnv before calling cli::Main
// (examples/custom_env).
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "envs/env.h"

namespace pawl::envs {

struct EnvConfig {
  std::string id = "ArmReach";
  std::string rig;  // arm tasks: path of the rig's TOML; "" = the built-in Panda
  int num_envs = 32;
  core::Table args;  // keywords of that environment, checked when the first one is made
  template <class V>
  void Visit(V& v) {
    v.Field("id", id, {.help = "environment (see `pawl envs`)"});
    v.Field("rig", rig,
            {.help = "arm tasks: TOML file of the robot; empty = the built-in Franka Panda"});
    v.Field("num_envs", num_envs,
            {.help = "environments stepped in parallel", .min = 1, .max = 65536});
    v.Raw("args", args, "keywords of the environment (see `pawl envs ID`)");
  }
};

struct EnvEntry {
  std::string id;
  std::string summary;  // one line
  // Makes one environment; env_idx and seed only feed per-environment model randomisation (role
  // kModel).
  std::function<std::unique_ptr<Env>(const EnvConfig&, uint64_t seed, int env_idx)> make;
  std::function<std::vector<core::FieldDoc>()> describe_args;
  bool has_rig = false;  // whether env.rig means anything to it
};

// The built-in table (registry.cc) followed by RegisterEnv's entries, in order.
const std::vector<EnvEntry>& Entries();
void RegisterEnv(EnvEntry entry);
// Throws UserError with the nearest name.
const EnvEntry& FindEnv(const std::string& id);
std::unique_ptr<Env> MakeEnv(const EnvConfig& config, uint64_t seed, int env_idx);
// Makes the user's own files (env.rig, env.args.xml_file) absolute, so that what is saved with the
// config works from any folder. What comes with Pawl keeps its short name.
void ResolvePaths(EnvConfig& config);

}  // namespace pawl::envs
