#include "train/run_config.h"

#include "kernels/cuda_library.h"

namespace pawl::train {
namespace {

// Reads only the stage, with the messages that the loader of a config has.
struct StageField {
  Stage stage = Stage::kPpo;
  template <class V>
  void Visit(V& v) {
    v.Field("stage", stage, {});
  }
};
}  // namespace

core::Table ReadConfigTable(const std::string& path, const std::vector<std::string>& assignments) {
  core::Table table = path.empty() ? core::Table() : core::Table::ParseFile(path);
  for (const auto& assignment : assignments) table = table.WithOverride(assignment);
  return table;
}

Stage StageOf(const core::Table& table) {
  StageField field;
  core::internal::Loader loader(table, "");
  field.Visit(loader);  // the other keys are for the stage's own config
  return field.stage;
}

const char* Name(Stage stage) {
  return core::EnumNames<Stage>::kTable[static_cast<size_t>(stage)].first;
}

void CheckDevice(const std::string& device) {
  if (device == "cpu" || device == "cuda") return;
  throw UserError({.what = fmt::format("device is '{}'", device),
                   .where = "device",
                   .expected = "cpu or cuda"});
}

void LoadDevice(const std::string& device) {
  if (device == "cuda") kernels::CudaLibrary::Load().RequireDevice();
}

}  // namespace pawl::train
