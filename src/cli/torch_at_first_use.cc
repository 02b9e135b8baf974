// The two functions of LibTorch that the program calls, defined here to load the library that has
// the real ones. Hidden, so that the library does not find these in their place.
#include <dlfcn.h>

#include <filesystem>

#include "cli/torch_module.h"
#include "core/error.h"

namespace pawl {
namespace {

const cli::TorchModule& LoadedModule() {
  static const cli::TorchModule* const module = [] {
    const auto path =
        std::filesystem::read_symlink("/proc/self/exe").replace_filename("libpawl_torch.so");
    // stays loaded: LibTorch's parts register themselves for good
    void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    void* const entry = handle ? dlsym(handle, "GetPawlTorchModule") : nullptr;
    if (!entry) {
      throw RunError({.what = fmt::format("LibTorch cannot be loaded: {}", dlerror()),
                      .where = path.string(),
                      .expected = "the library that is built with the program",
                      .hint = "build again: ./pawl setup"});
    }
    return reinterpret_cast<cli::TorchModuleFunction>(entry)();
  }();
  return *module;
}

}  // namespace

namespace nn {
[[gnu::visibility("hidden")]] std::unique_ptr<LanguageTrainer> MakeTorchTrainer(
    std::shared_ptr<const DecoderLayout> layout, const FillWeights& fill,
    const LanguageTrainerOptions& options, const std::string& device) {
  return LoadedModule().make_trainer(std::move(layout), fill, options, device);
}
}  // namespace nn

namespace algos {
[[gnu::visibility("hidden")]] std::unique_ptr<PpoBackend> MakeTorchBackend(
    const kernels::MlpShape& shape, const std::string& device) {
  return LoadedModule().make_ppo_backend(shape, device);
}
}  // namespace algos

}  // namespace pawl
