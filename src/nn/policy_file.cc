#include "nn/policy_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/safetensors.h"
#include "nn/policy_runner.h"

namespace pawl::nn {
namespace {
using nlohmann::json;
constexpr const char* kPolicyPath = "policy/policy.json";
constexpr const char* kWeightsPath = "policy/weights.safetensors";
constexpr const char* kFormat = "pawl-policy-1";
constexpr int kMaxSize = 1 << 20;  // of anything in a policy file: beyond it the file is nonsense

constexpr const char* kActivationNames[] = {"tanh", "relu", "elu"};
constexpr const char* kHeadNames[] = {"gaussian", "squashed_gaussian", "categorical"};
constexpr const char* kRoleNames[] = {"policy", "critic_only", "goal", "image"};

template <size_t N>
int IndexOf(const char* const (&names)[N], const std::string& name, const std::string& source) {
  for (size_t i = 0; i < N; ++i) {
    if (name == names[i]) return static_cast<int>(i);
  }
  throw Error(fmt::format("{}: '{}' is not understood", source, name));
}

// JSON has no infinity: an unbounded action's limits are "inf" and "-inf".
json BoundsToJson(const std::vector<double>& bounds) {
  json out = json::array();
  for (double bound : bounds) {
    out.push_back(std::isinf(bound) ? json(bound > 0 ? "inf" : "-inf") : json(bound));
  }
  return out;
}

std::vector<double> BoundsFromJson(const json& j) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> bounds;
  for (const json& bound : j) {
    bounds.push_back(bound == "inf" ? kInfinity : bound == "-inf" ? -kInfinity : double(bound));
  }
  return bounds;
}

json SpecToJson(const envs::EnvSpec& spec) {
  json parts = json::array();
  for (const auto& part : spec.observation) {
    parts.push_back({{"name", part.name},
                     {"size", part.size},
                     {"unit", part.unit},
                     {"role", kRoleNames[static_cast<int>(part.role)]},
                     {"dtype", part.dtype},
                     {"shape", part.shape}});
  }
  return {{"id", spec.id},
          {"version", spec.version},
          {"observation", parts},
          {"action",
           {{"size", spec.action.size},
            {"num_choices", spec.action.num_choices},
            {"low", BoundsToJson(spec.action.low)},
            {"high", BoundsToJson(spec.action.high)},
            {"names", spec.action.names}}},
          {"max_episode_steps", spec.max_episode_steps},
          {"control_period_s", spec.control_period_s},
          {"has_success", spec.has_success}};
}

envs::EnvSpec SpecFromJson(const json& j, const std::string& source) {
  envs::EnvSpec spec;
  spec.id = j.at("id");
  spec.version = j.at("version");
  for (const auto& p : j.at("observation")) {
    spec.observation.push_back(
        {.name = p.at("name"),
         .size = p.at("size"),
         .unit = p.at("unit"),
         .role = static_cast<envs::PartRole>(IndexOf(kRoleNames, p.at("role"), source)),
         .dtype = p.at("dtype"),
         .shape = p.at("shape").get<std::vector<int>>()});
  }
  const json& action = j.at("action");
  spec.action.size = action.at("size");
  spec.action.num_choices = action.at("num_choices");
  spec.action.low = BoundsFromJson(action.at("low"));
  spec.action.high = BoundsFromJson(action.at("high"));
  spec.action.names = action.at("names").get<std::vector<std::string>>();
  spec.max_episode_steps = j.at("max_episode_steps");
  spec.control_period_s = j.at("control_period_s");
  spec.has_success = j.at("has_success");
  for (const auto& part : spec.observation)
    PAWL_CHECK(part.size >= 1 && part.size <= kMaxSize, "{}: observation size", source);
  PAWL_CHECK(spec.ObservationSize() >= 1 && spec.action.size >= 1 && spec.action.size <= kMaxSize,
             "{}: sizes", source);
  const size_t bounds = spec.action.discrete() ? 0 : spec.action.size;
  PAWL_CHECK(spec.action.low.size() == bounds && spec.action.high.size() == bounds,
             "{}: action bounds", source);
  return spec;
}

// The described network must be the one whose weights are there, before memory is taken for it.
void CheckShape(const kernels::MlpShape& shape, const core::ArrayMap& arrays,
                const std::string& source) {
  PAWL_CHECK(
      shape.act >= 1 && shape.act <= kMaxSize && !shape.hidden.empty() && shape.hidden.size() <= 64,
      "{}: network", source);
  for (int width : shape.hidden)
    PAWL_CHECK(width >= 1 && width <= kMaxSize, "{}: hidden width {}", source, width);
  const kernels::MlpLayout layout(shape);
  for (const auto& p : layout.parameters()) {
    const size_t wanted = size_t(p.out) * std::max(p.in, 1);
    PAWL_CHECK_EQ(arrays.Get<float>(p.name).size(), wanted,
                  "{}: weights '{}' do not fit the network", source, p.name);
  }
}

// A network with one bad number answers with bad numbers: better no network.
void CheckFinite(const core::ArrayMap& arrays, const std::string& source) {
  const auto check = [&](const std::string& name, const auto& values) {
    const auto bad =
        std::find_if(values.begin(), values.end(), [](auto x) { return !std::isfinite(x); });
    if (bad == values.end()) return;
    throw RunError({.what = fmt::format("{}[{}] is {}", name, bad - values.begin(), *bad),
                    .where = source,
                    .expected = "finite numbers",
                    .hint = "an older checkpoint may be sound"});
  };
  for (const auto& array : arrays.arrays()) {
    if (array.dtype == core::DType::kF32) check(array.name, arrays.Get<float>(array.name));
    if (array.dtype == core::DType::kF64) check(array.name, arrays.Get<double>(array.name));
  }
}

std::vector<std::byte> ToBytes(const std::string& text) {
  const auto* p = reinterpret_cast<const std::byte*>(text.data());
  return {p, p + text.size()};
}
}  // namespace

void AddPolicyFiles(const Policy& policy, CheckpointFiles& files) {
  const json description = {
      {"format", kFormat},
      {"environment", SpecToJson(policy.spec)},
      {"rig", policy.env.rig},
      {"env_args", policy.env.args.ToToml()},
      {"network",
       {{"hidden", policy.shape.hidden},
        {"activation", kActivationNames[static_cast<int>(policy.shape.activation)]},
        {"shared", policy.shape.shared},
        {"head", kHeadNames[static_cast<int>(policy.shape.head)]},
        {"outputs", policy.shape.act}}},
      {"normalizer", json::parse(policy.normalizer.SettingsJson())},
  };
  files[kPolicyPath] = ToBytes(description.dump(1) + "\n");
  core::ArrayMap arrays;
  FlatToNamed(policy.shape, policy.weights.span(), arrays);
  policy.normalizer.Save(arrays);
  files[kWeightsPath] = core::ToSafetensors(arrays);
}

Policy PolicyFromFiles(const MappedFiles& files, const std::string& source) {
  return ParsePolicy(FileIn(files, kPolicyPath, source), FileIn(files, kWeightsPath, source),
                     source);
}

Policy ParsePolicy(std::span<const std::byte> text, std::span<const std::byte> weights,
                   const std::string& source) {
  const std::string where = source + "/" + kPolicyPath;
  Policy policy;
  try {
    const auto* chars = reinterpret_cast<const char*>(text.data());
    const json j = json::parse(chars, chars + text.size());
    if (j.at("format") != kFormat) throw Error(fmt::format("{}: another format", where));
    policy.spec = SpecFromJson(j.at("environment"), where);
    policy.env.id = policy.spec.id;
    policy.env.rig = j.at("rig");
    policy.env.num_envs = 1;
    policy.env.args = core::Table::ParseString(j.at("env_args").get<std::string>(), where);
    const json& network = j.at("network");
    policy.shape.obs = policy.spec.ObservationSize();
    policy.shape.act = network.at("outputs");
    policy.shape.hidden = network.at("hidden").get<std::vector<int>>();
    policy.shape.activation = static_cast<kernels::Activation>(
        IndexOf(kActivationNames, network.at("activation"), where));
    policy.shape.shared = network.at("shared");
    policy.shape.head =
        static_cast<kernels::PolicyHead>(IndexOf(kHeadNames, network.at("head"), where));
    const auto arrays = core::FromSafetensors(weights, source + "/" + kWeightsPath);
    policy.normalizer = NormalizerSnapshot::FromArrays(arrays, j.at("normalizer").dump());
    PAWL_CHECK_EQ(policy.normalizer.mean.size(), static_cast<size_t>(policy.shape.obs),
                  "{}: normaliser", where);
    CheckShape(policy.shape, arrays, where);
    CheckFinite(arrays, source + "/" + kWeightsPath);
    policy.weights = kernels::AlignedBuffer(FlatWeightsSize(policy.shape));
    NamedToFlat(policy.shape, arrays, policy.weights.span());
  } catch (const json::exception& error) {
    throw RunError({.what = fmt::format("damaged description of a policy ({})", error.what()),
                    .where = where});
  }
  return policy;
}

std::vector<std::string> SpecDifferences(const envs::EnvSpec& trained,
                                         const envs::EnvSpec& present) {
  std::vector<std::string> lines;
  auto compare = [&](const std::string& what, const auto& a, const auto& b) {
    if (!(a == b)) lines.push_back(fmt::format("{}: trained for {}, here {}", what, a, b));
  };
  compare("environment", trained.id, present.id);
  compare("version", trained.version, present.version);
  compare("observation size", trained.ObservationSize(), present.ObservationSize());
  const size_t parts = std::min(trained.observation.size(), present.observation.size());
  for (size_t i = 0; i < parts; ++i) {
    const auto& a = trained.observation[i];
    const auto& b = present.observation[i];
    compare(fmt::format("observation part {}", i),
            fmt::format("{} [{}] {}", a.name, a.size, a.unit),
            fmt::format("{} [{}] {}", b.name, b.size, b.unit));
  }
  compare("observation parts", trained.observation.size(), present.observation.size());
  compare("action size", trained.action.size, present.action.size);
  compare("action choices", trained.action.num_choices, present.action.num_choices);
  compare("action lower bounds", fmt::format("{}", fmt::join(trained.action.low, " ")),
          fmt::format("{}", fmt::join(present.action.low, " ")));
  compare("action upper bounds", fmt::format("{}", fmt::join(trained.action.high, " ")),
          fmt::format("{}", fmt::join(present.action.high, " ")));
  return lines;
}

}  // namespace pawl::nn
