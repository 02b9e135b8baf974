#include "cli/torch_module.h"

extern "C" const pawl::cli::TorchModule* GetPawlTorchModule() {
  static constexpr pawl::cli::TorchModule kModule{
      .make_trainer = &pawl::nn::MakeTorchTrainer,
      .make_ppo_backend = &pawl::algos::MakeTorchBackend};
  return &kModule;
}
