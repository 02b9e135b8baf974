#include "tests/nn/stories260k_testing.h"

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "nn/model_files.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;

// llama2.c's first format: seven int32, then all float32 tensors, each for all layers at once.
struct Header {
  int32_t width, intermediate, layers, heads, kv_heads, vocab, context;
};

ModelConfig ConfigOf(const Header& header) {
  ModelConfig c;
  c.family = ModelFamily::kLlama;
  c.vocab = std::abs(header.vocab);  // negative where the head is not the embedding
  c.tied = header.vocab > 0;
  c.width = header.width, c.layers = header.layers, c.heads = header.heads;
  c.kv_heads = header.kv_heads, c.head_dim = c.width / c.heads;
  c.intermediate = header.intermediate, c.max_positions = header.context;
  c.norm_epsilon = 1e-5;
  c.attention_scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
  c.bos_id = 1;
  c.eos_ids = {2};
  CheckModelConfig(c, "stories260K.bin");
  return c;
}

// Copies the file's numbers, in the file's order, to where the layout has them.
class Copier {
 public:
  Copier(const std::vector<std::byte>& file, const DecoderLayout& layout, core::Buffer<float>& flat)
      : at_(file.data() + sizeof(Header)),
        end_(file.data() + file.size()),
        layout_(layout),
        flat_(flat) {}

  void Take(const std::string& name) { std::memcpy(To(name), Next(name), SizeBytes(name)); }
  // llama2.c turns neighbours (2 j, 2 j + 1) of a head, transformers (j, j + K / 2).
  void TakeRotary(const std::string& name, int64_t heads, int64_t head_dim, int64_t width) {
    float* to = To(name);
    const std::byte* from = Next(name);
    const size_t row_bytes = width * sizeof(float);
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t j = 0; j < head_dim; ++j) {
        const int64_t target = head * head_dim + j % 2 * head_dim / 2 + j / 2;
        std::memcpy(to + target * width, from + (head * head_dim + j) * row_bytes, row_bytes);
      }
    }
  }
  size_t left_bytes() const { return end_ - at_; }

 private:
  size_t SizeBytes(const std::string& name) const {
    return layout_.Find(name)->count * sizeof(float);
  }
  float* To(const std::string& name) {
    PAWL_CHECK(layout_.Find(name) != nullptr, "no parameter {}", name);
    return flat_.data() + layout_.Find(name)->offset;
  }
  const std::byte* Next(const std::string& name) {
    PAWL_CHECK_LE(SizeBytes(name), left_bytes());
    return std::exchange(at_, at_ + SizeBytes(name));
  }

  const std::byte *at_, *end_;
  const DecoderLayout& layout_;
  core::Buffer<float>& flat_;
};

void Convert(const fs::path& bin, const fs::path& folder) {
  const std::vector<std::byte> file = core::ReadBinaryFile(bin);
  Header header;
  PAWL_CHECK_GE(file.size(), sizeof header);
  std::memcpy(&header, file.data(), sizeof header);
  const ModelConfig c = ConfigOf(header);
  const DecoderLayout layout(c);
  core::Buffer<float> flat(layout.size());
  Copier copier(file, layout, flat);
  const auto each_layer = [&](const std::string& name, int64_t rotary_heads = 0) {
    for (int64_t i = 0; i < c.layers; ++i) {
      const std::string full = fmt::format("model.layers.{}.{}.weight", i, name);
      if (rotary_heads > 0) {
        copier.TakeRotary(full, rotary_heads, c.head_dim, c.width);
      } else {
        copier.Take(full);
      }
    }
  };
  copier.Take("model.embed_tokens.weight");
  each_layer("input_layernorm");
  each_layer("self_attn.q_proj", c.heads);
  each_layer("self_attn.k_proj", c.kv_heads);
  each_layer("self_attn.v_proj");
  each_layer("self_attn.o_proj");
  each_layer("post_attention_layernorm");
  each_layer("mlp.gate_proj");
  each_layer("mlp.down_proj");
  each_layer("mlp.up_proj");
  copier.Take("model.norm.weight");
  // what is left are the tables of cosines and sines
  PAWL_CHECK_EQ(copier.left_bytes(), sizeof(float) * c.max_positions * c.head_dim);
  WriteModel(folder, layout, flat.span(), {});
}

// A folder of this process alone: tests run at the same time.
class OwnFolder {
 public:
  OwnFolder()
      : path_(fs::read_symlink("/proc/self/exe").parent_path() /
              fmt::format("stories260K.{}", ::getpid())) {}
  ~OwnFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};
}  // namespace

std::optional<fs::path> FindSharedData() {
  for (fs::path at = PAWL_SOURCE_DIR; at.has_relative_path(); at = at.parent_path()) {
    const fs::path data = at.parent_path() / "shared/data";
    if (fs::is_directory(data)) return data;
  }
  return std::nullopt;
}

std::optional<Stories260k> MakeStories260k() {
  const auto data = FindSharedData();
  if (!data || !fs::exists(*data / "models/stories260K/stories260K.bin")) return std::nullopt;
  static const OwnFolder folder;
  Stories260k stories{.source = *data / "models/stories260K", .folder = folder.path()};
  if (!fs::exists(stories.folder)) Convert(stories.source / "stories260K.bin", stories.folder);
  return stories;
}

}  // namespace pawl::nn
