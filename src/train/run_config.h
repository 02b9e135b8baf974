// What the configs of all stages share: the stage itself, when a run is saved, and the form in
// which a run folder keeps and compares them.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/config.h"

namespace pawl::train {

// What a run does; the top-level key `stage` decides which config a file is read as.
enum class Stage : uint8_t { kPpo, kPretrain, kSft };

struct CheckpointConfig {
  int every_updates = 0;
  int keep = 3;
  template <class V>
  void Visit(V& v) {
    v.Field("every_updates", every_updates,
            {.help = "updates between checkpoints; 0 = about 1.5 s of work", .min = 0});
    v.Field("keep", keep, {.help = "newest checkpoints kept, beside the best", .min = 1});
  }
};

// A resolved config as a run folder sees it.
struct RunConfig {
  Stage stage = Stage::kPpo;
  std::vector<core::FieldDoc> fields;
  std::string length_key;  // the one key that may grow on resume: "total_steps"
  int64_t length = 0;      // its value
  // The same form of a config.toml that a run of this kind saved.
  std::function<RunConfig(const core::Table& saved)> read;
};

// The form of a resolved config of any stage; Config has ResolvePaths and DescribeRun beside it.
template <class Config>
RunConfig RunConfigOf(const Config& config, std::string length_key, int64_t length) {
  RunConfig run;
  run.stage = config.stage;
  run.fields = core::DescribeConfig(config);
  run.length_key = std::move(length_key);
  run.length = length;
  run.read = [](const core::Table& saved) {
    Config before;
    core::LoadConfig(saved, before);
    ResolvePaths(before);
    return DescribeRun(before);
  };
  return run;
}

// The file with the --set assignments applied; an empty table for no file.
core::Table ReadConfigTable(const std::string& path, const std::vector<std::string>& assignments);
// "ppo" where the table does not say. Throws UserError for a stage that is not known.
Stage StageOf(const core::Table& table);
const char* Name(Stage stage);

// Throws UserError unless it is cpu or cuda.
void CheckDevice(const std::string& device);
// Loads what the device needs. To be called before anything of ATen runs, which asks once whether
// CUDA exists. Throws UserError where there is no such device.
void LoadDevice(const std::string& device);

}  // namespace pawl::train

template <>
struct pawl::core::EnumNames<pawl::train::Stage> {
  static constexpr std::pair<const char*, pawl::train::Stage> kTable[] = {
      {"ppo", pawl::train::Stage::kPpo},
      {"pretrain", pawl::train::Stage::kPretrain},
      {"sft", pawl::train::Stage::kSft}};
};
