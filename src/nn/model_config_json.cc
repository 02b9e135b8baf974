// Reads config.json and generation_config.json. Every key is taken by name; what is left over must
// be known not to change the mathematics, or the folder is refused: a switch that is overlooked
// would give a model that runs and says something else.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "core/error.h"
#include "nn/model_config.h"
#include "nn/model_families.h"

namespace pawl::nn {
namespace {
using nlohmann::json;

// Keys without influence on what a token's logits are, whatever their value.
constexpr const char* kHarmlessKeys[] = {
    // who made the file
    "_name_or_path",
    "_model_name_or_path",
    "name_or_path",
    "transformers_version",
    "_commit_hash",
    "_from_model_config",
    "tokenizer_class",
    "unsloth_version",
    "unsloth_fixed",
    // how it is run
    "use_cache",
    "cache_implementation",
    "_attn_implementation",
    "attn_implementation",
    "_attn_implementation_autoset",
    "gradient_checkpointing",
    "chunk_size_feed_forward",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "return_dict",
    "return_dict_in_generate",
    "torchscript",
    "use_bfloat16",
    "tf_legacy_loss",
    // training: dropout and initial weights
    "attention_dropout",
    "hidden_dropout",
    "resid_pdrop",
    "embd_pdrop",
    "attn_pdrop",
    "summary_first_dropout",
    "initializer_range",
    "tie_encoder_decoder",
    // other heads than the language model's
    "summary_type",
    "summary_use_proj",
    "summary_activation",
    "summary_proj_to_labels",
    "task_specific_params",
    "finetuning_task",
    "problem_type",
    "id2label",
    "label2id",
    "num_labels",
    // sampling, which generation_config.json and the run's config decide
    "prefix",
    "is_decoder",
    "max_length",
    "min_length",
    "do_sample",
    "early_stopping",
    "num_beams",
    "num_beam_groups",
    "diversity_penalty",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
    "repetition_penalty",
    "length_penalty",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "bad_words_ids",
    "num_return_sequences",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "remove_invalid_values",
    "exponential_decay_length_penalty",
    "suppress_tokens",
    "begin_suppress_tokens",
    "sep_token_id",
    "unk_token_id",
    "decoder_start_token_id",
};

// Keys that would change the mathematics unless they have this value (or null).
struct OnlyValue {
  const char* key;
  const char* value;  // JSON; "null": not at all
  const char* what;
};
constexpr OnlyValue kOnlyValues[] = {
    {"quantization_config", "null", "quantized weights are not supported"},
    {"compression_config", "null", "compressed weights are not supported"},
    {"auto_map", "null", "a model that brings its own code is not supported"},
    {"per_layer_config", "null", "layers of different sizes are not supported"},
    {"attn_logit_softcapping", "null", "a soft cap of the scores is not supported"},
    {"partial_rotary_factor", "1.0", "a rotary embedding of a part of the head is not supported"},
    {"use_bidirectional_attention", "false", "attention to later tokens is not supported"},
    {"is_encoder_decoder", "false", "encoders are not supported"},
    {"add_cross_attention", "false", "cross attention is not supported"},
    {"scale_attn_weights", "true", "scores without a scale are not supported"},
    {"scale_attn_by_inverse_layer_idx", "false", "a scale per layer is not supported"},
    {"reorder_and_upcast_attn", "false", "another order of the attention is not supported"},
    {"pretraining_tp", "1", "products in slices are not supported"},
    {"pruned_heads", "{}", "pruned heads are not supported"},
    {"use_mrope", "false", "a rotary embedding of three parts is not supported"},
};

constexpr std::pair<const char*, RopeScaling> kRopeTypes[] = {
    {"default", RopeScaling::kNone},
    {"linear", RopeScaling::kLinear},
    {"llama3", RopeScaling::kLlama3},
};

[[noreturn]] void Refuse(const std::string& what, const std::string& where,
                         const std::string& expected, const std::string& hint = "") {
  throw UserError({.what = what, .where = where, .expected = expected, .hint = hint});
}

// A value for an error line: short, one line, ASCII.
std::string Show(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}
std::string ShowKey(const std::string& key) {
  std::string quoted = Show(json(key));
  quoted.front() = '\'';
  if (quoted.back() == '"') quoted.back() = '\'';
  return quoted;
}

// The keys of one JSON object. A null counts as an absent key, as transformers takes it, except
// where the caller asks with IsNull.
class Keys {
 public:
  Keys(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  bool IsNull(const char* key) {
    asked_.insert(key);
    const auto found = object_.find(key);
    return found != object_.end() && found->is_null();
  }
  const json* Find(const char* key) {
    asked_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  // The value under either of two spellings, which may not disagree.
  const json* FindEither(const char* key, const char* old_key) {
    const json *a = Find(key), *b = Find(old_key);
    if (a != nullptr && b != nullptr && *a != *b) {
      Refuse(fmt::format("{} is {} and {} is {}", key, Show(*a), old_key, Show(*b)), where_,
             "the same");
    }
    return a != nullptr ? a : b;
  }
  int64_t Integer(const char* key, std::optional<int64_t> fallback = std::nullopt,
                  int64_t min = 1) {
    const json* value = Find(key);
    return value == nullptr ? Absent(key, fallback) : AsInteger(key, *value, min);
  }
  int64_t AsInteger(const char* key, const json& value, int64_t min) const {
    constexpr int64_t kMax = int64_t{1} << 40;  // far from overflow
    if (value.is_number_integer() && value >= min && value <= kMax) return value.get<int64_t>();
    Refuse(fmt::format("{} is {}", key, Show(value)), where_,
           fmt::format("a whole number, at least {}", min));
  }
  double Number(const char* key, std::optional<double> fallback = std::nullopt) {
    const json* value = Find(key);
    if (value == nullptr) return Absent(key, fallback);
    if (!value->is_number()) Mismatch(key, *value, "a number");
    return value->get<double>();
  }
  bool Bool(const char* key, bool fallback) {
    const json* value = Find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) Mismatch(key, *value, "true or false");
    return value->get<bool>();
  }
  std::string Text(const char* key, const json& value) const {
    if (!value.is_string()) Mismatch(key, value, "a text");
    return value.get<std::string>();
  }
  [[noreturn]] void Mismatch(const char* key, const json& value, const char* expected) const {
    Refuse(fmt::format("{} is {}", key, Show(value)), where_, expected);
  }
  // Every key that was not asked for must be in `harmless` or null.
  void RefuseOthers(std::span<const char* const> harmless) {
    std::vector<std::string> known(asked_.begin(), asked_.end());
    known.insert(known.end(), harmless.begin(), harmless.end());
    for (const auto& [key, value] : object_.items()) {
      if (value.is_null() || std::find(known.begin(), known.end(), key) != known.end()) continue;
      const std::string nearest = NearestName(key.substr(0, 100), known);
      Refuse(fmt::format("unknown key {} ({})", ShowKey(key), Show(value)), where_, "a known key",
             nearest.empty() ? "it may change what the model computes"
                             : fmt::format("did you mean '{}'?", nearest));
    }
  }

 private:
  template <class T>
  T Absent(const char* key, std::optional<T> fallback) const {
    if (!fallback) Refuse(fmt::format("the key {} is missing", key), where_, "a value");
    return *fallback;
  }

  const json& object_;
  std::string where_;
  std::set<std::string> asked_;
};

json ParseObject(std::string_view text, const std::string& where) {
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) Refuse("no JSON object", where, "a configuration", "is the file whole?");
  return object;
}

const FamilyInfo& FindFamily(Keys& keys) {
  const json* type = keys.Find("model_type");
  const json* list = keys.Find("architectures");
  std::vector<std::string> architectures, model_types;
  for (const FamilyInfo& info : kFamilies) {
    architectures.push_back(info.architecture);
    model_types.push_back(info.model_type);
  }
  const auto hint = [](const std::string& nearest) {
    return nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest);
  };
  const FamilyInfo* family = nullptr;
  if (list != nullptr) {
    if (!list->is_array() || list->size() != 1 || !list->front().is_string()) {
      keys.Mismatch("architectures", *list, "a list of one name");
    }
    const auto name = list->front().get<std::string>();
    for (const FamilyInfo& info : kFamilies) {
      if (name == info.architecture) family = &info;
    }
    if (family == nullptr) {
      Refuse(fmt::format("unknown architecture {}", ShowKey(name)), keys.where(),
             fmt::format("one of {}", fmt::join(architectures, ", ")),
             hint(NearestName(name.substr(0, 100), architectures)));
    }
  }
  if (type == nullptr) {
    if (family == nullptr) Refuse("neither architectures nor model_type", keys.where(), "a model");
    return *family;
  }
  const std::string name = keys.Text("model_type", *type);
  for (const FamilyInfo& info : kFamilies) {
    if (name != info.model_type) continue;
    if (family == nullptr || family == &info) return info;
    Refuse(fmt::format("architectures names {} and model_type {}", family->architecture, name),
           keys.where(), fmt::format("model_type {}", family->model_type));
  }
  Refuse(fmt::format("unknown model_type {}", ShowKey(name)), keys.where(),
         fmt::format("one of {}", fmt::join(model_types, ", ")),
         hint(NearestName(name.substr(0, 100), model_types)));
}

// rope_parameters or rope_scaling, flat. `theta`: where the object has none.
RopeConfig ReadRope(const json& object, const std::string& where, double theta,
                    int64_t max_positions) {
  if (!object.is_object()) Refuse(fmt::format("{}", Show(object)), where, "an object");
  Keys keys(object, where);
  RopeConfig rope{.theta = keys.Number("rope_theta", theta)};
  const json* type = keys.FindEither("rope_type", "type");
  const std::string name = type == nullptr ? "default" : keys.Text("rope_type", *type);
  std::vector<std::string> known;
  bool found = false;
  for (const auto& [text, scaling] : kRopeTypes) {
    known.push_back(text);
    if (name != text) continue;
    rope.scaling = scaling;
    found = true;
  }
  if (!found) {
    Refuse(fmt::format("the rope_type {} is not supported", ShowKey(name)), where,
           fmt::format("one of {}", fmt::join(known, ", ")));
  }
  if (rope.scaling != RopeScaling::kNone) rope.factor = keys.Number("factor");
  if (rope.scaling == RopeScaling::kLlama3) {
    rope.low_freq_factor = keys.Number("low_freq_factor");
    rope.high_freq_factor = keys.Number("high_freq_factor");
    rope.original_max_positions = keys.Integer("original_max_position_embeddings", max_positions);
  }
  if (keys.Number("partial_rotary_factor", 1) != 1) {
    Refuse("a rotary embedding of a part of the head is not supported", where,
           "partial_rotary_factor 1");
  }
  keys.RefuseOthers({});
  return rope;
}

// The two generations of keys: rope_theta with rope_scaling, and rope_parameters. A folder may have
// both, which then say the same. `slot`: the part of rope_parameters, "" where it is flat.
RopeConfig ReadRopes(Keys& keys, const char* slot, const char* theta_key, const char* scaling_key,
                     double default_theta, int64_t max_positions) {
  const double theta = keys.Number(theta_key, default_theta);
  const json* scaling = scaling_key == nullptr ? nullptr : keys.Find(scaling_key);
  const json* parameters = keys.Find("rope_parameters");
  if (parameters != nullptr && *slot != '\0') {
    if (!parameters->is_object()) keys.Mismatch("rope_parameters", *parameters, "an object");
    const auto part = parameters->find(slot);
    parameters = part == parameters->end() || part->is_null() ? nullptr : &*part;
  }
  const RopeConfig old = scaling == nullptr
                             ? RopeConfig{.theta = theta}
                             : ReadRope(*scaling, fmt::format("{}, {}", keys.where(), scaling_key),
                                        theta, max_positions);
  if (parameters == nullptr) return old;
  const std::string where =
      fmt::format("{}, rope_parameters{}{}", keys.where(), *slot == '\0' ? "" : ".", slot);
  const RopeConfig rope = ReadRope(*parameters, where, theta, max_positions);
  const bool theta_differs = keys.Find(theta_key) != nullptr && rope.theta != theta;
  if (theta_differs || (scaling != nullptr && rope != old)) {
    Refuse(fmt::format("rope_parameters contradict {}", theta_differs ? theta_key : scaling_key),
           keys.where(), "the same");
  }
  return rope;
}

// Gemma 3 turns sliding and full layers differently: rope_parameters is an object of two.
void RefuseFlatRope(Keys& keys) {
  const json* parameters = keys.Find("rope_parameters");
  if (parameters == nullptr) return;
  Keys parts(*parameters, fmt::format("{}, rope_parameters", keys.where()));
  parts.Find("full_attention");
  parts.Find("sliding_attention");
  parts.RefuseOthers({});
}

kernels::FeedForwardActivation ReadActivation(Keys& keys, const char* key, const json* value,
                                              kernels::FeedForwardActivation fallback) {
  if (value == nullptr) return fallback;
  const std::string name = keys.Text(key, *value);
  std::vector<std::string> known;
  for (const auto& [text, activation] : kActivations) {
    if (name == text) return activation;
    known.push_back(text);
  }
  Refuse(fmt::format("the {} {} is not supported", key, ShowKey(name)), keys.where(),
         fmt::format("one of {}", fmt::join(known, ", ")));
}

// layer_types as the layers that slide; nothing where there is no such key.
std::optional<std::vector<bool>> ReadLayerTypes(Keys& keys, int64_t layers) {
  const json* types = keys.Find("layer_types");
  if (types == nullptr) return std::nullopt;
  if (!types->is_array()) keys.Mismatch("layer_types", *types, "a list");
  if (types->size() != static_cast<size_t>(layers)) {
    Refuse(fmt::format("layer_types has {} entries", types->size()), keys.where(),
           fmt::format("one for each of the {} layers", layers));
  }
  std::vector<bool> sliding;
  for (const json& type : *types) {
    if (type != "sliding_attention" && type != "full_attention") {
      keys.Mismatch("an entry of layer_types", type, "full_attention or sliding_attention");
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

// Which layers slide, and how far; the three ways of the families.
void ReadSliding(Keys& keys, ModelConfig& c) {
  if (c.family == ModelFamily::kLlama) return;
  const bool null = keys.IsNull("sliding_window");
  int64_t window = null ? 0 : keys.Integer("sliding_window", 4096);
  std::vector<bool> sliding(c.layers, c.family == ModelFamily::kMistral && window > 0);
  if (c.family == ModelFamily::kQwen2 || c.family == ModelFamily::kQwen3) {
    if (!keys.Bool("use_sliding_window", false)) window = 0;
    const int64_t first = keys.Integer("max_window_layers", 28, 0);
    for (int64_t i = first; i < c.layers; ++i) sliding[i] = window > 0;
  }
  if (c.family == ModelFamily::kGemma3) {
    // of older files; layer_types, where it stands, says more
    const json* every = keys.FindEither("sliding_window_pattern", "_sliding_window_pattern");
    const int64_t pattern =
        every == nullptr ? 6 : keys.AsInteger("sliding_window_pattern", *every, 1);
    for (int64_t i = 0; i < c.layers; ++i) sliding[i] = (i + 1) % pattern != 0;
  }
  if (c.family != ModelFamily::kMistral) sliding = ReadLayerTypes(keys, c.layers).value_or(sliding);
  if (std::find(sliding.begin(), sliding.end(), true) == sliding.end()) return;
  if (window == 0) {
    Refuse("layers slide, but there is no sliding_window", keys.where(), "a width of the window");
  }
  c.sliding = std::move(sliding);
  c.sliding_window = window;
}

void ReadGpt2(Keys& keys, ModelConfig& c) {
  c.width = keys.Integer("n_embd");
  c.layers = keys.Integer("n_layer");
  c.heads = c.kv_heads = keys.Integer("n_head");
  c.head_dim = c.width / c.heads;
  c.max_positions = keys.Integer("n_positions");
  c.intermediate = keys.Integer("n_inner", 4 * c.width);
  if (keys.Integer("n_ctx", c.max_positions) != c.max_positions) {
    Refuse("n_ctx and n_positions differ", keys.where(), "the same");
  }
  c.norm_epsilon = keys.Number("layer_norm_epsilon", 1e-5);
  c.activation = ReadActivation(keys, "activation_function", keys.Find("activation_function"),
                                kernels::FeedForwardActivation::kGeluTanh);
  CheckSizes(c, keys.where());
}

void ReadLlamaLike(Keys& keys, const FamilyInfo& info, ModelConfig& c) {
  const bool gemma = c.family == ModelFamily::kGemma3;
  c.width = keys.Integer("hidden_size");
  c.layers = keys.Integer("num_hidden_layers");
  c.heads = keys.Integer("num_attention_heads");
  const bool as_heads = keys.IsNull("num_key_value_heads") || info.kv_heads == 0;
  c.kv_heads = keys.Integer("num_key_value_heads", as_heads ? c.heads : info.kv_heads);
  c.head_dim = keys.Integer(
      "head_dim", info.head_dim > 0 ? info.head_dim : std::max(c.width / c.heads, int64_t{1}));
  c.intermediate = keys.Integer("intermediate_size");
  c.max_positions = keys.Integer("max_position_embeddings");
  c.norm_epsilon = keys.Number("rms_norm_eps", 1e-6);
  CheckSizes(c, keys.where());
  if (keys.Find("head_dim") == nullptr && info.head_dim == 0 && c.width % c.heads != 0) {
    Refuse(fmt::format("{} heads in a model of width {} without head_dim", c.heads, c.width),
           keys.where(), "heads that part the width evenly");
  }
  if (gemma) {
    c.activation = ReadActivation(keys, "hidden_activation",
                                  keys.FindEither("hidden_activation", "hidden_act"),
                                  kernels::FeedForwardActivation::kGeluTanh);
    c.rope = ReadRopes(keys, "full_attention", "rope_theta", "rope_scaling", 1e6, c.max_positions);
    c.local_rope =
        ReadRopes(keys, "sliding_attention", "rope_local_base_freq", nullptr, 1e4, c.max_positions);
    RefuseFlatRope(keys);
    const int64_t scalar = keys.Integer("query_pre_attn_scalar", 256);
    c.attention_scale = 1 / std::sqrt(static_cast<double>(scalar));
    c.logit_soft_cap = keys.Number("final_logit_softcapping", 0);
  } else {
    c.activation = ReadActivation(keys, "hidden_act", keys.Find("hidden_act"),
                                  kernels::FeedForwardActivation::kSilu);
    c.rope = ReadRopes(keys, "", "rope_theta", "rope_scaling", 1e4, c.max_positions);
  }
  if (c.family == ModelFamily::kLlama) c.mlp_bias = keys.Bool("mlp_bias", false);
  if (c.family != ModelFamily::kMistral && c.family != ModelFamily::kQwen2) {
    c.qkv_bias = keys.Bool("attention_bias", false);
  }
  ReadSliding(keys, c);
}

// An id of either file; generation_config.json comes first. `fallback` -1: none.
const json* FindId(Keys& keys, Keys& generation, const char* key) {
  const json* config = keys.Find(key);
  const json* own = generation.Find(key);
  return own != nullptr ? own : config;
}

void ReadTokenIds(Keys& keys, Keys& generation, const FamilyInfo& info, ModelConfig& c) {
  // a class's own id says nothing about a vocabulary that ends before it
  const auto default_id = [&](const char* key, int64_t id) -> std::optional<int64_t> {
    if (keys.IsNull(key) || id < 0 || id >= c.vocab) return std::nullopt;
    return id;
  };
  const auto one = [&](const char* key, int64_t id) -> std::optional<int64_t> {
    const json* value = FindId(keys, generation, key);
    if (value == nullptr) return default_id(key, id);
    const int64_t found = keys.AsInteger(key, *value, -1);  // old files write -1 for none
    return found < 0 ? std::nullopt : std::optional(found);
  };
  c.bos_id = one("bos_token_id", info.bos);
  c.pad_id = one("pad_token_id", info.pad);
  const json* eos = FindId(keys, generation, "eos_token_id");
  if (eos == nullptr) {
    if (const auto id = default_id("eos_token_id", info.eos)) c.eos_ids = {*id};
  } else if (eos->is_array()) {
    for (const json& id : *eos) c.eos_ids.push_back(keys.AsInteger("eos_token_id", id, 0));
  } else {
    c.eos_ids = {keys.AsInteger("eos_token_id", *eos, 0)};
  }
}

void RefuseUnsupported(Keys& keys) {
  for (const auto& [key, value, what] : kOnlyValues) {
    const json* found = keys.Find(key);
    if (found == nullptr || *found == json::parse(value)) continue;
    Refuse(fmt::format("{}: {} is {}", what, key, Show(*found)), keys.where(),
           std::string_view(value) == "null" ? "no such key" : fmt::format("{} {}", key, value));
  }
}
}  // namespace

ModelConfig ParseModelConfig(std::string_view config_json, std::string_view generation_json,
                             const std::string& source) {
  const json object = ParseObject(config_json, source);
  const std::string generation_source = source + " (generation_config.json)";
  const json generation_object =
      generation_json.empty() ? json::object() : ParseObject(generation_json, generation_source);
  Keys keys(object, source), generation(generation_object, generation_source);

  const FamilyInfo& info = FindFamily(keys);
  RefuseUnsupported(keys);
  ModelConfig c;
  c.family = info.family;
  if (const json* dtype = keys.FindEither("dtype", "torch_dtype")) {
    c.dtype = keys.Text("dtype", *dtype);
  }
  c.vocab = keys.Integer("vocab_size");
  if (c.family == ModelFamily::kGpt2) {
    ReadGpt2(keys, c);
  } else {
    ReadLlamaLike(keys, info, c);
  }
  c.tied = keys.Bool("tie_word_embeddings", info.tied);
  ReadTokenIds(keys, generation, info, c);
  keys.RefuseOthers(kHarmlessKeys);
  SetFamilySwitches(c);
  CheckModelConfig(c, source);
  return c;
}

}  // namespace pawl::nn
