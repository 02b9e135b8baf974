#include "nn/lora_files.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "core/float_types.h"
#include "core/safetensors.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
constexpr const char* kConfigFile = "adapter_config.json";
constexpr int kMaxDepth = 16;
constexpr const char* kWeightsFile = "adapter_model.safetensors";

// Keys of adapter_config.json that say nothing about what the adapter computes here.
const std::set<std::string>& IgnoredKeys() {
  static const std::set<std::string> kKeys = {"auto_mapping",      "base_model_name_or_path",
                                              "revision",          "inference_mode",
                                              "peft_version",      "task_type",
                                              "lora_dropout",      "runtime_config",
                                              "loftq_config",      "corda_config",
                                              "eva_config",        "lora_ga_config",
                                              "qalora_group_size", "peft_type",
                                              "megatron_core"};
  return kKeys;
}
const std::set<std::string>& KnownKeys() {
  static const std::set<std::string> kKeys = {"r",
                                              "lora_alpha",
                                              "use_rslora",
                                              "target_modules",
                                              "rank_pattern",
                                              "alpha_pattern",
                                              "modules_to_save",
                                              "fan_in_fan_out",
                                              "init_lora_weights"};
  return kKeys;
}

Error Refused(const std::string& source, const std::string& what, const std::string& expected,
              const std::string& hint = "") {
  return UserError({.what = what, .where = source, .expected = expected, .hint = hint});
}

// Null, false, empty or "none": a feature that is switched off.
bool IsOff(const Json& value) {
  return value.is_null() || (value.is_boolean() && !value.get<bool>()) ||
         ((value.is_object() || value.is_array()) && value.empty()) ||
         (value.is_string() && (value.get<std::string>().empty() || value == "none"));
}

Json ParseObject(const fs::path& path) {
  if (!fs::exists(path)) {
    throw Refused(path.string(), "there is no such file", "a PEFT adapter folder");
  }
  // nothing in these files is nested: what is, is not read, as the library copies by recursion
  struct TooDeep {};
  const auto shallow = [](int depth, Json::parse_event_t, const Json&) {
    if (depth > kMaxDepth) throw TooDeep();
    return true;
  };
  Json json;
  try {
    json = Json::parse(core::ReadTextFile(path), shallow, /*allow_exceptions=*/false);
  } catch (const TooDeep&) {
    throw Refused(path.string(), fmt::format("nested more than {} deep", kMaxDepth),
                  "PEFT's settings");
  }
  if (!json.is_object()) throw Refused(path.string(), "not a JSON object", "PEFT's settings");
  return json;
}

double NumberOf(const Json& json, const std::string& key, double fallback,
                const std::string& source) {
  if (!json.contains(key)) return fallback;
  const Json& value = json.at(key);
  if (!value.is_number()) {
    throw Refused(source, fmt::format("'{}' is {}", key, value.dump().substr(0, 40)), "a number");
  }
  return value.get<double>();
}

int64_t RankOf(double value, const std::string& key, const std::string& source) {
  constexpr double kLargest = 65536;
  if (!(value >= 1 && value <= kLargest && value == std::floor(value))) {
    throw Refused(source, fmt::format("'{}' is {}", key, value), "a whole number from 1 to 65536");
  }
  return static_cast<int64_t>(value);
}

std::vector<std::string> NamesIn(const Json& list, const std::string& key,
                                 const std::string& source) {
  std::vector<std::string> names;
  if (!list.is_array()) throw Refused(source, fmt::format("'{}' is no list", key), "names");
  for (const Json& entry : list) {
    if (!entry.is_string()) throw Refused(source, fmt::format("'{}' holds no name", key), "names");
    names.push_back(entry.get<std::string>());
  }
  return names;
}

void ReadTargets(const Json& json, const std::string& source, LoraConfig& config) {
  const Json targets = json.value("target_modules", Json());
  if (targets.is_string()) {
    config.target_modules = {targets.get<std::string>()};
    config.target_is_regex = targets != "all-linear";
  } else if (targets.is_array() && !targets.empty()) {
    config.target_modules = NamesIn(targets, "target_modules", source);
  } else {
    throw Refused(source, "'target_modules' is missing",
                  "a list of names, a regular expression or all-linear");
  }
}

// PEFT's other initialisations (pissa, olora, corda, loftq, ...) take their start out of the base's
// weights when the adapter is loaded: over the plain base such an adapter means something else.
void CheckInitialisation(const Json& json, const std::string& source) {
  const Json value = json.value("init_lora_weights", Json());
  if (!value.is_string() || value == "gaussian" || value == "eva" || value == "orthogonal") return;
  throw Refused(source, fmt::format("'init_lora_weights' is {}", value.dump().substr(0, 60)),
                "an initialisation that leaves the base model alone",
                "PEFT's save_pretrained(path_initial_model_for_weight_conversion=...) converts it");
}

void ReadPatterns(const Json& json, const std::string& source, LoraConfig& config) {
  for (const std::string key : {"rank_pattern", "alpha_pattern"}) {
    const Json patterns = json.value(key, Json());
    if (IsOff(patterns)) continue;
    if (!patterns.is_object()) throw Refused(source, fmt::format("'{}' is no table", key), "names");
    for (const auto& [name, unused] : patterns.items()) {
      const double value = NumberOf(patterns, name, 0, source);
      if (key == "rank_pattern") {
        config.rank_pattern.emplace_back(name, RankOf(value, key, source));
      } else {
        config.alpha_pattern.emplace_back(name, value);
      }
    }
  }
}

std::string StoredName(const std::string& name) { return "base_model.model." + name; }

// Empty for a dtype that is no float of 16 or 32 bits.
std::vector<float> AsFloats(const core::NamedArray& array) {
  std::vector<float> values;
  const auto each = [&](auto zero, auto convert) {
    const auto* data = reinterpret_cast<const decltype(zero)*>(array.data.data());
    for (size_t i = 0; i < array.data.size() / sizeof(zero); ++i)
      values.push_back(convert(data[i]));
  };
  if (array.dtype == core::DType::kF32) {
    each(0.0f, [](float x) { return x; });
  } else if (array.dtype == core::DType::kBF16) {
    each(uint16_t{0}, [](uint16_t x) { return core::ToFloat(core::Bfloat16{x}); });
  } else if (array.dtype == core::DType::kF16) {
    each(uint16_t{0}, [](uint16_t x) { return core::ToFloat(core::Float16{x}); });
  }
  return values;
}

// Takes tensors out of an adapter's file and collects everything that does not fit.
class AdapterReader {
 public:
  AdapterReader(const core::ArrayMap& arrays, std::string source)
      : arrays_(arrays), source_(std::move(source)) {
    for (const auto& array : arrays.arrays()) left_.insert(array.name);
  }
  void Take(const std::string& name, const std::vector<int64_t>& shape, float* to) {
    const core::NamedArray* array = arrays_.Find(name);
    if (array == nullptr) {
      problems_.push_back("missing " + name);
      return;
    }
    left_.erase(name);
    const auto values = AsFloats(*array);
    if (array->shape != shape) {
      problems_.push_back(fmt::format("{} is [{}], the model needs [{}]", name,
                                      fmt::join(array->shape, ", "), fmt::join(shape, ", ")));
    } else if (values.empty()) {
      problems_.push_back(fmt::format("{} has dtype {}", name, core::Name(array->dtype)));
    } else {
      std::copy(values.begin(), values.end(), to);
    }
  }
  void Finish() {
    for (const auto& name : left_) problems_.push_back("surplus " + name);
    if (problems_.empty()) return;
    constexpr size_t kShown = 10;
    const size_t more = problems_.size() - std::min(problems_.size(), kShown);
    problems_.resize(problems_.size() - more);
    throw Refused(
        source_,
        fmt::format("the adapter does not fit the model: {}{}", fmt::join(problems_, "; "),
                    more > 0 ? fmt::format(" and {} more", more) : ""),
        "an adapter that was trained for this base");
  }

 private:
  const core::ArrayMap& arrays_;
  std::string source_;
  std::set<std::string> left_;
  std::vector<std::string> problems_;
};
}  // namespace

bool IsAdapterFolder(const fs::path& folder) { return fs::exists(folder / kConfigFile); }

LoraConfig ReadAdapterConfig(const fs::path& folder, std::string* base) {
  const fs::path path = folder / kConfigFile;
  const std::string source = path.string();
  const Json json = ParseObject(path);
  if (json.value("peft_type", Json()) != "LORA") {
    throw Refused(source, fmt::format("peft_type is {}", json.value("peft_type", Json()).dump()),
                  "LORA");
  }
  for (const auto& [key, value] : json.items()) {
    if (IgnoredKeys().contains(key) || KnownKeys().contains(key) || IsOff(value)) continue;
    throw Refused(source, fmt::format("'{}' is {}", key, value.dump().substr(0, 60)),
                  "an adapter without it", "Pawl does not know this kind of adapter");
  }
  CheckInitialisation(json, source);
  LoraConfig config;
  const Json rslora = json.value("use_rslora", Json(false));
  if (!rslora.is_boolean()) {
    throw Refused(source, fmt::format("'use_rslora' is {}", rslora.dump().substr(0, 40)),
                  "true or false");
  }
  config.rank = RankOf(NumberOf(json, "r", 8, source), "r", source);
  config.alpha = NumberOf(json, "lora_alpha", 8, source);
  config.rslora = rslora.get<bool>();
  ReadTargets(json, source, config);
  ReadPatterns(json, source, config);
  const Json saved = json.value("modules_to_save", Json());
  if (!IsOff(saved)) config.modules_to_save = NamesIn(saved, "modules_to_save", source);
  if (base != nullptr) {
    const Json name = json.value("base_model_name_or_path", Json());
    *base = name.is_string() ? name.get<std::string>() : "";
  }
  return config;
}

LoraWeights ReadAdapter(const fs::path& folder, const DecoderLayout& decoder,
                        std::span<float> weights) {
  LoraWeights lora(std::make_shared<LoraLayout>(decoder, ReadAdapterConfig(folder)));
  const std::string source = (folder / kWeightsFile).string();
  const core::ArrayMap arrays = core::ReadSafetensors(source);
  AdapterReader reader(arrays, source);
  for (const LoraAdapter& adapter : lora.layout().adapters()) {
    const std::string name = StoredName(adapter.module);
    reader.Take(name + ".lora_A.weight", {adapter.rank, adapter.in},
                lora.values().data() + adapter.a);
    reader.Take(name + ".lora_B.weight", {adapter.out, adapter.rank},
                lora.values().data() + adapter.b);
  }
  for (const ModelParameter* parameter : lora.layout().saved()) {
    reader.Take(StoredName(parameter->name), parameter->shape, weights.data() + parameter->offset);
  }
  reader.Finish();
  return lora;
}

void WriteAdapter(const fs::path& folder, const LoraWeights& lora, const DecoderLayout& decoder,
                  std::span<const float> weights, const std::string& base) {
  const LoraConfig& config = lora.layout().config();
  Json json = {{"peft_type", "LORA"},
               {"task_type", "CAUSAL_LM"},
               {"base_model_name_or_path", base},
               {"inference_mode", true},
               {"r", config.rank},
               {"lora_alpha", config.alpha},
               {"lora_dropout", 0.0},
               {"bias", "none"},
               {"use_rslora", config.rslora},
               {"fan_in_fan_out", decoder.config().family == ModelFamily::kGpt2},
               {"rank_pattern", Json::object()},
               {"alpha_pattern", Json::object()}};
  for (const auto& [pattern, rank] : config.rank_pattern) json["rank_pattern"][pattern] = rank;
  for (const auto& [pattern, alpha] : config.alpha_pattern) json["alpha_pattern"][pattern] = alpha;
  const auto& targets = config.target_modules;
  json["target_modules"] = targets;
  if (config.target_is_regex || (targets.size() == 1 && targets[0] == "all-linear")) {
    json["target_modules"] = targets.at(0);
  }
  json["modules_to_save"] = nullptr;
  if (!config.modules_to_save.empty()) json["modules_to_save"] = config.modules_to_save;
  core::ArrayMap arrays;
  arrays.metadata()["format"] = "pt";
  const auto put = [&](const std::string& name, const float* values,
                       const std::vector<int64_t>& shape) {
    size_t count = 1;
    for (const int64_t dimension : shape) count *= static_cast<size_t>(dimension);
    arrays.Put<float>(name, {values, count}, shape);
  };
  for (const LoraAdapter& adapter : lora.layout().adapters()) {
    const std::string name = StoredName(adapter.module);
    put(name + ".lora_A.weight", lora.values().data() + adapter.a, {adapter.rank, adapter.in});
    put(name + ".lora_B.weight", lora.values().data() + adapter.b, {adapter.out, adapter.rank});
  }
  for (const ModelParameter* parameter : lora.layout().saved()) {
    put(StoredName(parameter->name), weights.data() + parameter->offset, parameter->shape);
  }
  core::WriteFileAtomic(folder / kWeightsFile, core::ToSafetensors(arrays));
  core::WriteFileAtomic(folder / kConfigFile, json.dump(2) + "\n");
}

}  // namespace pawl::nn
