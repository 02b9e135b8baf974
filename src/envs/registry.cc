#include "envs/registry.h"

#include <algorithm>
#include <filesystem>

#include "envs/arm_registry.h"
#include "envs/gym_entries.h"
#include "envs/rig.h"

namespace pawl::envs {
namespace {

std::vector<EnvEntry>& Table() {
  static std::vector<EnvEntry> table = [] {
    std::vector<EnvEntry> all;
    for (auto family : {ArmEntries, LocomotionEntries, ManipulationEntries, BalanceEntries,
                        ClassicControlEntries}) {
      for (EnvEntry& entry : family()) all.push_back(std::move(entry));
    }
    return all;
  }();
  return table;
}

}  // namespace

const std::vector<EnvEntry>& Entries() { return Table(); }

void RegisterEnv(EnvEntry entry) {
  for (const EnvEntry& other : Table()) {
    PAWL_CHECK(other.id != entry.id, "environment '{}' is registered already", entry.id);
  }
  Table().push_back(std::move(entry));
}

const EnvEntry& FindEnv(const std::string& id) {
  std::vector<std::string> known;
  for (const EnvEntry& entry : Table()) {
    if (entry.id == id) return entry;
    known.push_back(entry.id);
  }
  // a forgotten version ("Pendulum" for "Pendulum-v1") is the likeliest slip
  const auto longer = std::find_if(known.begin(), known.end(),
                                   [&](const auto& k) { return !id.empty() && k.starts_with(id); });
  const std::string nearest = longer != known.end() ? *longer : NearestName(id, known);
  throw UserError({.what = fmt::format("there is no environment '{}'", id),
                   .where = "env.id",
                   .expected = "a name that `pawl envs` lists",
                   .hint = nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest)});
}

std::unique_ptr<Env> MakeEnv(const EnvConfig& config, uint64_t seed, int env_idx) {
  const EnvEntry& entry = FindEnv(config.id);
  if (!config.rig.empty() && !entry.has_rig) {
    throw UserError({.what = fmt::format("{} has no rig, env.rig is '{}'", config.id, config.rig),
                     .where = "env.rig",
                     .expected = "nothing, or an arm task in env.id"});
  }
  return entry.make(config, seed, env_idx);
}

void ResolvePaths(EnvConfig& config) {
  const auto absolute = [](const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal().string();
  };
  if (!config.rig.empty()) {
    const std::string found = absolute(FindRigFile(config.rig));
    const std::string tree = absolute(SourcePath(""));
    config.rig = found.starts_with(tree) ? found.substr(tree.size()) : found;
  }
  const auto xml_file = config.args.FindString("xml_file");
  if (xml_file && xml_file->starts_with('.')) {
    config.args = config.args.WithString("xml_file", absolute(*xml_file));
  }
}

}  // namespace pawl::envs
