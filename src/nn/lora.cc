#include "nn/lora.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "text/regex.h"

namespace pawl::nn {
namespace {

// "model.layers.0.self_attn.q_proj" of "....q_proj.weight".
std::string ModuleOf(const ModelParameter& parameter) {
  return parameter.name.substr(0, parameter.name.rfind('.'));
}

// PEFT's rule: the path itself, or its end behind a dot.
bool EndsAs(const std::string& module, const std::string& pattern) {
  return module == pattern || module.ends_with("." + pattern);
}

bool IsLayerLinear(const ModelParameter& parameter) {
  const std::string& name = parameter.name;
  return parameter.is_matrix() && name.ends_with(".weight") &&
         (name.find(".layers.") != std::string::npos || name.find(".h.") != std::string::npos);
}

// Patterns are whole names, as PEFT's re.fullmatch has it. Searches are bounded, whatever a foreign
// adapter's patterns are.
text::Regex Compile(const char* key, const std::string& pattern) {
  try {
    return text::Regex::Compile("\\A(?:" + pattern + ")\\z", key);
  } catch (const Error& error) {
    throw UserError(
        {.what = fmt::format("{} '{}' is no regular expression ({})", key, pattern, error.what()),
         .expected = "a list of module names, a regular expression or all-linear"});
  }
}

// A value for some modules, and which of its patterns were of use.
template <class T>
class Patterns {
 public:
  Patterns(const char* key, const std::vector<std::pair<std::string, T>>& entries) : key_(key) {
    for (const auto& [pattern, value] : entries)
      entries_.push_back({pattern, Compile(key, "(.*\\.)?(" + pattern + ")"), value, false});
  }
  T Or(const std::string& module, T fallback) {
    for (Entry& entry : entries_) {
      if (!entry.regex.Find(module, 0)) continue;
      entry.used = true;
      return entry.value;
    }
    return fallback;
  }
  // "" where each fitted something.
  std::string Unused() const {
    for (const Entry& entry : entries_) {
      if (!entry.used) return entry.pattern;
    }
    return "";
  }
  const char* key() const { return key_; }

 private:
  struct Entry {
    std::string pattern;
    text::Regex regex;
    T value;
    bool used;
  };
  const char* key_;
  std::vector<Entry> entries_;
};

// target_modules, and which of them were of use.
class Targets {
 public:
  explicit Targets(const LoraConfig& config) : names_(config.target_modules), used_(names_.size()) {
    all_ = names_.size() == 1 && names_[0] == "all-linear";
    if (!config.target_is_regex) return;
    for (const auto& name : names_) regexes_.push_back(Compile("target_modules", name));
  }
  bool Wants(const std::string& module) {
    bool wanted = all_;
    for (size_t i = 0; i < names_.size() && !all_; ++i) {
      const bool fits =
          regexes_.empty() ? EndsAs(module, names_[i]) : regexes_[i].Find(module, 0).has_value();
      if (fits) used_[i] = wanted = true;
    }
    return wanted;
  }
  std::string Unused() const {
    for (size_t i = 0; i < names_.size() && !all_; ++i) {
      if (!used_[i]) return names_[i];
    }
    return "";
  }

 private:
  std::vector<std::string> names_;
  std::vector<text::Regex> regexes_;
  std::vector<bool> used_;
  bool all_ = false;
};

Error NothingMatches(const char* key, const std::string& pattern, const DecoderLayout& decoder) {
  std::vector<std::string> names;
  for (const ModelParameter& parameter : decoder.parameters()) {
    if (!IsLayerLinear(parameter)) continue;
    const std::string module = ModuleOf(parameter);
    const std::string end = module.substr(module.rfind('.') + 1);
    if (std::find(names.begin(), names.end(), end) == names.end()) names.push_back(end);
  }
  return UserError({.what = fmt::format("{} '{}' fits no module of the model", key, pattern),
                    .expected = fmt::format("one of {}", fmt::join(names, ", "))});
}
}  // namespace

LoraLayout::LoraLayout(const DecoderLayout& decoder, const LoraConfig& config) : config_(config) {
  Targets targets(config_);
  Patterns<int64_t> ranks("rank_pattern", config_.rank_pattern);
  Patterns<double> alphas("alpha_pattern", config_.alpha_pattern);
  for (const ModelParameter& parameter : decoder.parameters()) {
    const std::string module = ModuleOf(parameter);
    if (!IsLayerLinear(parameter) || !targets.Wants(module)) continue;
    LoraAdapter adapter;
    adapter.module = module;
    adapter.out = parameter.shape[0];
    adapter.in = parameter.shape[1];
    adapter.rank = ranks.Or(module, config_.rank);
    const double alpha = alphas.Or(module, config_.alpha);
    const auto rank = static_cast<double>(adapter.rank);
    adapter.scale = static_cast<float>(config_.rslora ? alpha / std::sqrt(rank) : alpha / rank);
    adapter.weight = parameter.offset;
    adapter.a = size_;
    size_ += static_cast<size_t>(adapter.rank * adapter.in);
    adapter.b = size_;
    size_ += static_cast<size_t>(adapter.out * adapter.rank);
    adapters_.push_back(std::move(adapter));
  }
  for (const auto& [key, unused] : {std::pair{"target_modules", targets.Unused()},
                                    {ranks.key(), ranks.Unused()},
                                    {alphas.key(), alphas.Unused()}}) {
    if (!unused.empty()) throw NothingMatches(key, unused, decoder);
  }
  AddSaved(decoder);
}

void LoraLayout::AddSaved(const DecoderLayout& decoder) {
  for (const std::string& module : config_.modules_to_save) {
    int64_t matches = 0;
    for (const ModelParameter& parameter : decoder.parameters()) {
      if (!EndsAs(ModuleOf(parameter), module)) continue;
      if (IsLayerLinear(parameter)) {
        throw UserError({.what = fmt::format("modules_to_save '{}' is a linear of a layer", module),
                         .expected = "an embedding, the head or norms",
                         .hint = "target_modules adapts it"});
      }
      // two names may mean one parameter
      if (std::find(saved_.begin(), saved_.end(), &parameter) == saved_.end()) {
        saved_.push_back(&parameter);
      }
      ++matches;
    }
    if (matches == 0) throw NothingMatches("modules_to_save", module, decoder);
  }
}

std::span<const LoraAdapter> LoraLayout::Within(size_t begin, size_t count) const {
  const auto before = [](const LoraAdapter& adapter, size_t at) { return adapter.weight < at; };
  const auto first = std::lower_bound(adapters_.begin(), adapters_.end(), begin, before);
  const auto last = std::lower_bound(first, adapters_.end(), begin + count, before);
  return {first, last};
}

void InitializeLora(const LoraLayout& layout, uint64_t seed, std::span<float> values) {
  std::fill(values.begin(), values.end(), 0.0f);
  uint64_t index = 0;
  for (const LoraAdapter& adapter : layout.adapters()) {
    core::Philox rng(seed, core::Role::kInit, index++, 1);  // step 0 is the decoder's
    const double bound = 1 / std::sqrt(static_cast<double>(adapter.in));
    for (int64_t i = 0; i < adapter.rank * adapter.in; ++i) {
      values[adapter.a + static_cast<size_t>(i)] = static_cast<float>(rng.Uniform(-bound, bound));
    }
  }
}

void MergeLora(const LoraWeights& lora, const DecoderLayout& decoder, std::span<float> weights) {
  PAWL_CHECK_EQ(weights.size(), decoder.size());
  for (const LoraAdapter& adapter : lora.layout().adapters()) {
    const float* a = lora.values().data() + adapter.a;
    const float* b = lora.values().data() + adapter.b;
    float* w = weights.data() + adapter.weight;
    for (int64_t o = 0; o < adapter.out; ++o) {
      for (int64_t i = 0; i < adapter.in; ++i) {
        float sum = 0;
        for (int64_t r = 0; r < adapter.rank; ++r) {
          sum += b[o * adapter.rank + r] * a[r * adapter.in + i];
        }
        w[o * adapter.in + i] += adapter.scale * sum;
      }
    }
  }
}

}  // namespace pawl::nn
