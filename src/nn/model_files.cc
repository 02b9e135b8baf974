#include "nn/model_files.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>

#include "core/error.h"
#include "core/float_types.h"
#include "core/safetensors_file.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;
using core::DType;

constexpr const char* kSingleName = "model.safetensors";
constexpr const char* kIndexName = "model.safetensors.index.json";

// Buffers that older versions saved beside the parameters.
constexpr const char* kBufferSuffixes[] = {".attn.bias", ".attn.masked_bias",
                                           ".rotary_emb.inv_freq"};

[[noreturn]] void Refuse(std::string what, const fs::path& where, const std::string& expected,
                         const std::string& hint = "") {
  for (char& c : what) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';  // names come from files
  }
  throw UserError({.what = what, .where = where.string(), .expected = expected, .hint = hint});
}

// The weight files of a folder.
std::vector<fs::path> ListShards(const fs::path& folder) {
  if (fs::exists(folder / kSingleName)) return {folder / kSingleName};
  const fs::path index_path = folder / kIndexName;
  if (!fs::exists(index_path)) {
    Refuse("no weights", folder, fmt::format("{} or {}", kSingleName, kIndexName),
           fs::exists(folder / "pytorch_model.bin")
               ? "pytorch_model.bin is not read: save the model with safe_serialization"
               : "");
  }
  const auto index =
      nlohmann::json::parse(core::ReadTextFile(index_path), nullptr, /*allow_exceptions=*/false);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    Refuse("no weight_map", index_path, "a JSON object with the file of every tensor");
  }
  std::set<fs::path> shards;
  for (const auto& [tensor, file] : index["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || name == ".." || name.find_first_of(std::string("/\0", 2)) != name.npos) {
      Refuse(fmt::format("the file of '{:.100}' is no file name", tensor), index_path,
             "a file of this folder");
    }
    if (!fs::exists(folder / name)) {
      Refuse(fmt::format("the shard {} is missing", name), folder,
             fmt::format("every file that {} names", kIndexName), "is the download whole?");
    }
    shards.insert(folder / name);
  }
  return {shards.begin(), shards.end()};
}

// All tensors of a folder under the names of the layout.
class StoredWeights {
 public:
  StoredWeights(const fs::path& folder, ModelFamily family) {
    for (const fs::path& path : ListShards(folder)) {
      files_.emplace_back(path);
      for (const core::ArrayView& array : files_.back().arrays()) {
        std::string name = array.name;
        // saved from GPT2Model, as the first ones were
        if (family == ModelFamily::kGpt2 && !name.starts_with("transformer.") &&
            name != "lm_head.weight") {
          name = "transformer." + name;
        }
        if (!arrays_.emplace(name, &array).second) {
          Refuse(fmt::format("the tensor '{:.100}' stands there twice", name), path, "once");
        }
      }
    }
  }
  const core::ArrayView* Find(const std::string& name) const {
    const auto found = arrays_.find(name);
    return found == arrays_.end() ? nullptr : found->second;
  }
  const std::map<std::string, const core::ArrayView*>& arrays() const { return arrays_; }

 private:
  std::deque<core::MappedSafetensors> files_;  // never moves what arrays_ points to
  std::map<std::string, const core::ArrayView*> arrays_;
};

// "missing a, b and 3 more"
class NameList {
 public:
  explicit NameList(const char* title) : title_(title) {}
  void Add(const std::string& name) {
    if (++count_ <= kMaxNames) names_.push_back(name.substr(0, 160));
  }
  void AppendTo(std::string& text) const {
    if (count_ == 0) return;
    text += fmt::format("; {} {}", title_, fmt::join(names_, ", "));
    if (count_ > kMaxNames) text += fmt::format(" and {} more", count_ - kMaxNames);
  }

 private:
  static constexpr size_t kMaxNames = 10;
  const char* title_;
  std::vector<std::string> names_;
  size_t count_ = 0;
};

bool IsFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16;
}

std::vector<int64_t> StoredShape(const ModelParameter& parameter) {
  std::vector<int64_t> shape = parameter.shape;
  if (parameter.stored_transposed) std::reverse(shape.begin(), shape.end());
  return shape;
}

// A tied head that was saved all the same must be the embedding.
void CheckTiedHead(const StoredWeights& stored, const DecoderLayout& layout,
                   const fs::path& folder) {
  const core::ArrayView* head = stored.Find("lm_head.weight");
  const core::ArrayView* embedding = stored.Find(layout.parameters()[0].name);
  if (!layout.tied() || head == nullptr || embedding == nullptr) return;
  if (head->dtype == embedding->dtype && head->shape == embedding->shape &&
      std::equal(head->data.begin(), head->data.end(), embedding->data.begin())) {
    return;
  }
  Refuse("lm_head.weight differs from the embedding, though config.json ties them", folder,
         "equal tensors, or none", "tie_word_embeddings false keeps both");
}

// Throws one error that names everything that is wrong.
void CheckWeights(const StoredWeights& stored, const DecoderLayout& layout,
                  const fs::path& folder) {
  NameList missing("missing"), surplus("left over"), shapes("of another shape"),
      dtypes("of another dtype");
  std::string vocabulary;
  for (const ModelParameter& parameter : layout.parameters()) {
    const core::ArrayView* array = stored.Find(parameter.name);
    if (array == nullptr) {
      missing.Add(parameter.name);
      continue;
    }
    const std::vector<int64_t> shape = StoredShape(parameter);
    if (array->shape != shape) {
      shapes.Add(fmt::format("{} [{}] instead of [{}]", parameter.name,
                             fmt::join(array->shape, ", "), fmt::join(shape, ", ")));
      if (parameter.offset == layout.embedding() && array->shape.size() == 2 &&
          array->shape[0] != shape[0]) {
        vocabulary = fmt::format("; the vocabulary has {} tokens, the embedding {} rows", shape[0],
                                 array->shape[0]);
      }
    }
    if (!IsFloat(array->dtype)) {
      dtypes.Add(fmt::format("{} ({})", parameter.name, core::Name(array->dtype)));
    }
  }
  for (const auto& [name, array] : stored.arrays()) {
    const bool buffer = std::any_of(std::begin(kBufferSuffixes), std::end(kBufferSuffixes),
                                    [&](const char* suffix) { return name.ends_with(suffix); });
    const bool tied_head = layout.tied() && name == "lm_head.weight";
    if (!buffer && !tied_head && layout.Find(name) == nullptr) surplus.Add(name);
  }
  std::string problems = vocabulary;
  missing.AppendTo(problems);
  surplus.AppendTo(problems);
  shapes.AppendTo(problems);
  dtypes.AppendTo(problems);
  if (!problems.empty()) {
    Refuse("the weights do not fit config.json: " + problems.substr(2), folder,
           "the tensors of this model in float32, bfloat16 or float16");
  }
  CheckTiedHead(stored, layout, folder);
}

// How one number lies in a file.
struct FloatFormat {
  using Stored = float;
  static float Read(Stored value) { return value; }
  static Stored Write(float value) { return value; }
};
struct Bfloat16Format {
  using Stored = core::Bfloat16;
  static float Read(Stored value) { return core::ToFloat(value); }
  static Stored Write(float value) { return core::ToBfloat16(value); }
};
struct Float16Format {
  using Stored = core::Float16;
  static float Read(Stored value) { return core::ToFloat(value); }
  static Stored Write(float value) { return core::ToFloat16(value); }
};

// Calls action with the format of a dtype.
template <class Action>
void WithFormat(DType dtype, const Action& action) {
  switch (dtype) {
    case DType::kF32:
      return action(FloatFormat());
    case DType::kBF16:
      return action(Bfloat16Format());
    case DType::kF16:
      return action(Float16Format());
    default:
      PAWL_CHECK(false, "no float format {}", core::Name(dtype));
  }
}

// Elements [begin, begin + count) of the parameter as stored, at any address, into `flat` or from
// it. Transposed, element (i, o) of the file's [in, out] is (o, i) of the flat [out, in].
template <class Format>
void CopyIn(const std::byte* data, const ModelParameter& parameter, float* flat) {
  using Stored = typename Format::Stored;
  const auto element = [&](size_t i) {
    Stored value;
    std::memcpy(&value, data + i * sizeof(Stored), sizeof(Stored));
    return Format::Read(value);
  };
  if (!parameter.stored_transposed) {
    for (size_t i = 0; i < parameter.count; ++i) flat[i] = element(i);
    return;
  }
  const auto out = static_cast<size_t>(parameter.shape[0]);
  const auto in = static_cast<size_t>(parameter.shape[1]);
  constexpr size_t kBlock = 16;  // rows of the file at a time: whole cache lines of flat
  for (size_t i0 = 0; i0 < in; i0 += kBlock) {
    for (size_t o = 0; o < out; ++o) {
      for (size_t i = i0; i < std::min(i0 + kBlock, in); ++i) {
        flat[o * in + i] = element(i * out + o);
      }
    }
  }
}

template <class Format>
void CopyOut(const float* flat, const ModelParameter& parameter, size_t begin,
             std::span<typename Format::Stored> to) {
  if (!parameter.stored_transposed) {
    for (size_t i = 0; i < to.size(); ++i) to[i] = Format::Write(flat[begin + i]);
    return;
  }
  const auto out = static_cast<size_t>(parameter.shape[0]);
  const auto in = static_cast<size_t>(parameter.shape[1]);
  for (size_t i = 0; i < to.size(); ++i) {
    const size_t row = (begin + i) / out, column = (begin + i) % out;
    to[i] = Format::Write(flat[column * in + row]);
  }
}

struct Shard {
  std::string name;
  std::vector<const ModelParameter*> parameters;
  uint64_t bytes = 0;
};

std::vector<Shard> PlanShards(const DecoderLayout& layout, DType dtype, uint64_t max_bytes) {
  std::vector<Shard> shards(1);
  for (const ModelParameter& parameter : layout.parameters()) {
    const uint64_t bytes = parameter.count * core::SizeBytes(dtype);
    if (!shards.back().parameters.empty() && shards.back().bytes + bytes > max_bytes) {
      shards.emplace_back();
    }
    shards.back().parameters.push_back(&parameter);
    shards.back().bytes += bytes;
  }
  if (shards.size() == 1) {
    shards[0].name = kSingleName;
    return shards;
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    shards[i].name = fmt::format("model-{:05d}-of-{:05d}.safetensors", i + 1, shards.size());
  }
  return shards;
}

// float16 ends at 65504: a weight beyond it must not become an infinity without a word.
template <class Format>
void CheckRange(std::span<const typename Format::Stored> part, const std::string& name,
                const fs::path& path) {
  for (const auto stored : part) {
    if (std::isfinite(Format::Read(stored))) continue;
    throw RunError({.what = fmt::format("'{}' has values that the file's dtype cannot hold", name),
                    .where = path.string(),
                    .expected = "finite numbers",
                    .hint = "model.dtype = \"float32\" or \"bfloat16\""});
  }
}

void WriteShard(const fs::path& path, const Shard& shard, DType dtype,
                std::span<const float> flat) {
  std::vector<core::ArrayInfo> infos;
  std::unordered_map<std::string, const ModelParameter*> by_name;
  for (const ModelParameter* parameter : shard.parameters) {
    core::ArrayInfo info;
    info.name = parameter->name;
    info.dtype = dtype;
    info.shape = StoredShape(*parameter);
    infos.push_back(std::move(info));
    by_name[parameter->name] = parameter;
  }
  core::SafetensorsWriter writer(path, std::move(infos), {{"format", "pt"}});
  WithFormat(dtype, [&]<class Format>(Format) {
    constexpr size_t kChunk = 1 << 18;  // elements converted at a time
    std::vector<typename Format::Stored> chunk(kChunk);
    for (const core::ArrayInfo& info : writer.arrays()) {
      const ModelParameter& parameter = *by_name.at(info.name);
      for (size_t begin = 0; begin < parameter.count; begin += kChunk) {
        const std::span part(chunk.data(), std::min(kChunk, parameter.count - begin));
        CopyOut<Format>(flat.data() + parameter.offset, parameter, begin, part);
        CheckRange<Format>(part, info.name, path);
        writer.Write(std::as_bytes(part));
      }
    }
  });
  writer.Commit();
}

std::string IndexJson(const std::vector<Shard>& shards) {
  nlohmann::json weight_map = nlohmann::json::object();
  uint64_t total = 0;
  for (const Shard& shard : shards) {
    for (const ModelParameter* parameter : shard.parameters) {
      weight_map[parameter->name] = shard.name;
    }
    total += shard.bytes;
  }
  const nlohmann::json index = {{"metadata", {{"total_size", total}}}, {"weight_map", weight_map}};
  return index.dump(2) + "\n";
}

DType FileDtype(const std::string& name) {
  if (name == "float32") return DType::kF32;
  if (name == "bfloat16") return DType::kBF16;
  PAWL_CHECK(name == "float16", "no file dtype '{}'", name);
  return DType::kF16;
}
}  // namespace

ModelConfig ReadModelConfig(const fs::path& folder) {
  const fs::path path = folder / "config.json", generation = folder / "generation_config.json";
  if (!fs::is_directory(folder)) Refuse("no such folder", folder, "a model's folder");
  if (!fs::exists(path)) Refuse("no config.json", folder, "a model's folder");
  return ParseModelConfig(core::ReadTextFile(path),
                          fs::exists(generation) ? core::ReadTextFile(generation) : "",
                          path.string());
}

void ReadWeights(const fs::path& folder, const DecoderLayout& layout, std::span<float> flat) {
  PAWL_CHECK_EQ(flat.size(), layout.size());
  const StoredWeights stored(folder, layout.config().family);
  CheckWeights(stored, layout, folder);
  size_t end = 0;  // of the parameter before
  for (const ModelParameter& parameter : layout.parameters()) {
    std::fill(flat.begin() + end, flat.begin() + parameter.offset, 0.0f);
    const core::ArrayView& array = *stored.Find(parameter.name);
    WithFormat(array.dtype, [&]<class Format>(Format) {
      CopyIn<Format>(array.data.data(), parameter, flat.data() + parameter.offset);
    });
    end = parameter.offset + parameter.count;
  }
  std::fill(flat.begin() + end, flat.end(), 0.0f);
}

void WriteModelFiles(const fs::path& folder, const DecoderLayout& layout,
                     std::span<const float> flat, const WriteModelOptions& options) {
  PAWL_CHECK_EQ(flat.size(), layout.size());
  const DType dtype = FileDtype(options.dtype);
  ModelConfig config = layout.config();
  config.dtype = options.dtype;
  core::WriteFileSynced(folder / "config.json", std::string_view(ToConfigJson(config)));
  core::WriteFileSynced(folder / "generation_config.json",
                        std::string_view(ToGenerationConfigJson(config)));
  for (const auto& [name, text] : options.files) {
    core::WriteFileSynced(folder / name, std::string_view(text));
  }
  const std::vector<Shard> shards = PlanShards(layout, dtype, options.max_shard_bytes);
  for (const Shard& shard : shards) WriteShard(folder / shard.name, shard, dtype, flat);
  if (shards.size() > 1) {
    core::WriteFileSynced(folder / kIndexName, std::string_view(IndexJson(shards)));
  }
}

void WriteModel(const fs::path& folder, const DecoderLayout& layout, std::span<const float> flat,
                const WriteModelOptions& options) {
  core::ReplaceFolder(folder, [&](const fs::path& temporary) {
    WriteModelFiles(temporary, layout, flat, options);
  });
}

}  // namespace pawl::nn
