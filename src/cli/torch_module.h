// What the `pawl` program takes from LibTorch, in a library of its own beside it: libpawl_torch.so
// is loaded when a learner asks for LibTorch, and not before, as its start takes half a second that
// most commands can do without. Both are of one build and share C++ objects; what the program has
// too, the library uses from there.
#pragma once
#include "algos/ppo_backend.h"
#include "nn/torch_trainer.h"

namespace pawl::cli {

struct TorchModule {
  decltype(&nn::MakeTorchTrainer) make_trainer;
  decltype(&algos::MakeTorchBackend) make_ppo_backend;
};
// The library's one entry: `const TorchModule* GetPawlTorchModule()`.
using TorchModuleFunction = const TorchModule* (*)();

}  // namespace pawl::cli
