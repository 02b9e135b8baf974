// The tables of the environments that come with Pawl, by family; registry.cc joins them.
#pragma once
#include <vector>

#include "envs/make_entry.h"

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

}  // namespace pawl::envs
