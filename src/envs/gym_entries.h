// The tables of the environments that come with Pawl, by family; registry.cc joins them.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "envs/registry.h"

namespace pawl::envs {

// Gymnasium v5's MuJoCo tasks. The same model files, observations, rewards, terminations and
// keywords; equal to Gymnasium 1.4 within 1e-9 (tests/envs/gym_golden_test.cc).
std::vector<EnvEntry>
LocomotionEntries();  // HalfCheetah, Hopper, Walker2d, Ant, Humanoid, HumanoidStandup, Swimmer
std::vector<EnvEntry> ManipulationEntries();    // Reacher, Pusher
std::vector<EnvEntry> BalanceEntries();         // InvertedPendulum, InvertedDoublePendulum
std::vector<EnvEntry> ClassicControlEntries();  // CartPole-v1, Pendulum-v1

// One of LocomotionEntries, in a file of its own.
EnvEntry StandupEntry();

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
