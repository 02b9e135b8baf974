#include "nn/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <set>
#include <tuple>

#include "core/buffer.h"
#include "core/file.h"
#include "core/float_types.h"
#include "core/safetensors.h"
#include "tests/goldens/goldens.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kFolders[] = {"llama", "llama3", "mistral", "qwen2",
                                    "qwen3", "gpt2",   "gemma3"};

fs::path Golden(const std::string& folder) { return GoldensFolder() / "language" / folder; }

TEST(ReadWeights, EveryTensorLiesWhereTheLayoutSays) {
  for (const char* folder : kFolders) {
    SCOPED_TRACE(folder);
    const DecoderLayout layout(ReadModelConfig(Golden(folder)));
    core::Buffer<float> flat(layout.size());
    std::fill(flat.data(), flat.data() + flat.size(), 3.0f);
    ReadWeights(Golden(folder), layout, flat.span());
    const auto file = core::ReadSafetensors((Golden(folder) / "model.safetensors").string());
    EXPECT_EQ(file.arrays().size(), layout.parameters().size());
    size_t covered = 0;
    for (const ModelParameter& p : layout.parameters()) {
      const auto stored = file.Get<float>(p.name);
      ASSERT_EQ(stored.size(), p.count);
      covered += p.count;
      const int64_t out = p.shape[0], in = p.is_matrix() ? p.shape[1] : 1;
      for (int64_t o = 0; o < out; ++o) {
        for (int64_t i = 0; i < in; ++i) {
          const float theirs = p.stored_transposed ? stored[i * out + o] : stored[o * in + i];
          ASSERT_EQ(flat.data()[p.offset + o * in + i], theirs) << p.name;
        }
      }
    }
    // the rest is padding
    size_t zeros = 0, in_file = 0;
    for (const float value : flat.span()) zeros += value == 0;
    for (const auto& array : file.arrays()) {
      for (const float value : file.Get<float>(array.name)) in_file += value == 0;
    }
    EXPECT_EQ(zeros, layout.size() - covered + in_file);
  }
}

class ModelFiles : public testing::Test {
 protected:
  ModelFiles() {
    std::string pattern = testing::TempDir() + "pawl_model_XXXXXX";
    PAWL_CHECK(mkdtemp(pattern.data()) != nullptr);
    scratch_ = pattern;
  }
  ~ModelFiles() override { fs::remove_all(scratch_); }

  // A folder with a golden's config and these tensors.
  fs::path Folder(const std::string& golden, const core::ArrayMap& arrays,
                  const char* file = "model.safetensors") {
    const fs::path folder = scratch_ / "bad";
    fs::create_directories(folder);
    fs::copy_file(Golden(golden) / "config.json", folder / "config.json",
                  fs::copy_options::overwrite_existing);
    core::WriteFileAtomic(folder / file, core::ToSafetensors(arrays));
    return folder;
  }
  static core::ArrayMap Tensors(const std::string& golden) {
    return core::ReadSafetensors((Golden(golden) / "model.safetensors").string());
  }
  // The arrays of `from` whose names `keep` wants, under the names that it gives.
  static core::ArrayMap Renamed(const core::ArrayMap& from,
                                const std::function<std::string(const std::string&)>& keep) {
    core::ArrayMap out;
    for (const auto& array : from.arrays()) {
      const std::string name = keep(array.name);
      if (!name.empty()) out.PutRaw(name, array.dtype, array.data, array.shape);
    }
    return out;
  }
  static core::Buffer<float> Read(const fs::path& folder) {
    const DecoderLayout layout(ReadModelConfig(folder));
    core::Buffer<float> flat(layout.size());
    ReadWeights(folder, layout, flat.span());
    return flat;
  }
  // With the folder's own path cut out.
  std::string ErrorOf(const fs::path& folder) {
    std::string line = "(no error)";
    try {
      Read(folder);
    } catch (const Error& error) {
      line = error.what();
    }
    EXPECT_EQ(line.find('\n'), line.npos);
    for (size_t at; (at = line.find(folder.string())) != line.npos;) {
      line.replace(at, folder.string().size(), 1, 'M');
    }
    return line;
  }
  static bool Equal(const core::Buffer<float>& a, const core::Buffer<float>& b) {
    return std::equal(a.span().begin(), a.span().end(), b.span().begin(), b.span().end());
  }

  fs::path scratch_;
};

TEST_F(ModelFiles, WhatIsWrittenIsReadInEveryDtypeAndCut) {
  constexpr uint64_t kWhole = 1 << 30;
  const std::tuple<const char*, const char*, uint64_t> cases[] = {
      {"llama", "float32", kWhole},   {"llama3", "bfloat16", 20'000},
      {"mistral", "float16", kWhole}, {"qwen2", "float32", 20'000},
      {"qwen3", "bfloat16", kWhole},  {"gpt2", "float16", 30'000},
      {"gemma3", "bfloat16", kWhole}, {"gpt2", "float32", 1}};
  for (const auto& [golden, dtype, max_shard_bytes] : cases) {
    SCOPED_TRACE(golden);
    core::Buffer<float> flat = Read(Golden(golden));
    const DecoderLayout layout(ReadModelConfig(Golden(golden)));
    const fs::path folder = scratch_ / "again";
    WriteModel(folder, layout, flat.span(), {.dtype = dtype, .max_shard_bytes = max_shard_bytes});
    EXPECT_EQ(fs::exists(folder / "model.safetensors"), max_shard_bytes == kWhole);
    EXPECT_EQ(fs::exists(folder / "model.safetensors.index.json"), max_shard_bytes != kWhole);
    for (float& value : flat.span()) {
      if (dtype == std::string("bfloat16")) value = core::ToFloat(core::ToBfloat16(value));
      if (dtype == std::string("float16")) value = core::ToFloat(core::ToFloat16(value));
    }
    EXPECT_TRUE(Equal(Read(folder), flat));
    ModelConfig config = layout.config();
    config.dtype = dtype;
    config.embedding_scale = ReadModelConfig(folder).embedding_scale;  // rounded to the dtype
    EXPECT_EQ(ReadModelConfig(folder), config);
  }
}

TEST_F(ModelFiles, AWeightThatFloat16CannotHoldIsAnErrorNotAnInfinity) {
  core::Buffer<float> flat = Read(Golden("llama"));
  const DecoderLayout layout(ReadModelConfig(Golden("llama")));
  const auto& parameter = layout.parameters().at(2);
  flat.data()[parameter.offset] = 65519;  // the largest that rounds to 65504
  const fs::path folder = scratch_ / "large";
  WriteModel(folder, layout, flat.span(), {.dtype = "float16"});
  flat.data()[parameter.offset] = 65520;
  try {
    WriteModel(folder, layout, flat.span(), {.dtype = "float16"});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("'" + parameter.name + "' has values"),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(Read(folder).data()[parameter.offset], 65504);  // the one before still stands
  WriteModel(folder, layout, flat.span(), {.dtype = "bfloat16"});
}

TEST_F(ModelFiles, TheDataOfTransformersIsWrittenBackBitForBit) {
  const auto data_of = [](const fs::path& folder) {
    auto bytes = core::ReadBinaryFile(folder / "model.safetensors");
    uint64_t header_bytes;
    std::memcpy(&header_bytes, bytes.data(), 8);
    bytes.erase(bytes.begin(), bytes.begin() + 8 + header_bytes);
    return bytes;
  };
  for (const char* golden : {"gpt2", "gemma3"}) {
    const fs::path folder = scratch_ / golden;
    WriteModel(folder, DecoderLayout(ReadModelConfig(Golden(golden))), Read(Golden(golden)).span(),
               {});
    EXPECT_TRUE(data_of(folder) == data_of(Golden(golden))) << golden;
  }
}

TEST_F(ModelFiles, AnOldFolderGoesOnlyWhenTheNewOneIsWhole) {
  const fs::path folder = scratch_ / "model";
  const core::Buffer<float> flat = Read(Golden("llama"));
  const DecoderLayout layout(ReadModelConfig(Golden("llama")));
  WriteModel(folder, layout, flat.span(), {.max_shard_bytes = 10'000});
  core::WriteFileAtomic(folder / "mine.txt", std::string_view("x"));
  WriteModel(folder, layout, flat.span(), {.files = {{"tokenizer.json", "{}"}}});
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename());
  EXPECT_THAT(names, testing::ElementsAre("config.json", "generation_config.json",
                                          "model.safetensors", "tokenizer.json"));
  // one that cannot be written leaves no trace
  const auto index_of = [&] { return core::ReadBinaryFile(folder / "model.safetensors"); };
  const auto before = index_of();
  EXPECT_THROW(WriteModel(folder, layout, flat.span(), {.files = {{"no/folder", "x"}}}), Error);
  EXPECT_EQ(index_of(), before);
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(scratch_)) ++entries;
  EXPECT_EQ(entries, 1u);
}

TEST_F(ModelFiles, OldNamesAndBuffersAreUnderstood) {
  // GPT-2 without its prefix, with the masks that were saved once
  core::ArrayMap gpt2 = Renamed(Tensors("gpt2"), [](const std::string& name) {
    return name.substr(std::string("transformer.").size());
  });
  gpt2.Put<float>("h.0.attn.bias", std::vector<float>(4), {1, 1, 2, 2});
  gpt2.PutScalar<float>("h.0.attn.masked_bias", -1e4f);
  EXPECT_TRUE(Equal(Read(Folder("gpt2", gpt2)), Read(Golden("gpt2"))));
  // a head that is the embedding
  core::ArrayMap llama = Tensors("llama3");
  llama.Put<float>("model.layers.0.self_attn.rotary_emb.inv_freq", std::vector<float>(8), {8});
  const auto& embedding = llama.At("model.embed_tokens.weight");
  llama.PutRaw("lm_head.weight", embedding.dtype, embedding.data, embedding.shape);
  EXPECT_TRUE(Equal(Read(Folder("llama3", llama)), Read(Golden("llama3"))));
}

TEST_F(ModelFiles, ATiedHeadOfItsOwnIsRefused) {
  core::ArrayMap llama = Tensors("llama3");
  llama.Put<float>("lm_head.weight", std::vector<float>(61 * 32, 0.5f), {61, 32});
  EXPECT_EQ(ErrorOf(Folder("llama3", llama)),
            "lm_head.weight differs from the embedding, though config.json ties them at M: "
            "expected equal tensors, or none (tie_word_embeddings false keeps both)");
}

TEST_F(ModelFiles, EverythingWrongIsNamedAtOnce) {
  core::ArrayMap wrong = Renamed(Tensors("llama"), [](const std::string& name) {
    if (name == "model.norm.weight" || name == "model.layers.1.mlp.up_proj.weight") return name;
    if (name.find("layers.1") != name.npos || name == "lm_head.weight") return std::string();
    return name == "model.layers.0.mlp.up_proj.weight" || name.find("o_proj.bias") != name.npos
               ? std::string()
               : name;
  });
  wrong.Put<float>("model.layers.0.mlp.up_proj.weight", std::vector<float>(32 * 45), {45, 32});
  wrong.Put<int32_t>("model.layers.0.self_attn.o_proj.bias", std::vector<int32_t>(32), {32});
  wrong.Put<float>("model.layers.2.self_attn.q_proj.weight", std::vector<float>(1), {1});
  wrong.Put<float>("new\nline", std::vector<float>(1), {1});
  EXPECT_EQ(
      ErrorOf(Folder("llama", wrong)),
      "the weights do not fit config.json: missing "
      "model.layers.1.input_layernorm.weight, model.layers.1.self_attn.q_proj.weight, "
      "model.layers.1.self_attn.k_proj.weight, model.layers.1.self_attn.v_proj.weight, "
      "model.layers.1.self_attn.q_proj.bias, model.layers.1.self_attn.k_proj.bias, "
      "model.layers.1.self_attn.v_proj.bias, model.layers.1.self_attn.o_proj.weight, "
      "model.layers.1.self_attn.o_proj.bias, model.layers.1.post_attention_layernorm.weight and 6 "
      "more; left over model.layers.2.self_attn.q_proj.weight, new line; of another shape "
      "model.layers.0.mlp.up_proj.weight [45, 32] instead of [44, 32]; of another dtype "
      "model.layers.0.self_attn.o_proj.bias (I32) at M: expected the tensors of this model in "
      "float32, bfloat16 or float16");
}

TEST_F(ModelFiles, AVocabularyOfAnotherSizeIsCalledThat) {
  core::ArrayMap wrong = Renamed(Tensors("llama3"), [](const std::string& name) {
    return name == "model.embed_tokens.weight" ? "" : name;
  });
  wrong.Put<float>("model.embed_tokens.weight", std::vector<float>(64 * 32), {64, 32});
  EXPECT_THAT(ErrorOf(Folder("llama3", wrong)),
              HasSubstr("the vocabulary has 61 tokens, the embedding 64 rows"));
  // a matrix that is not transposed, where another shape would fit
  core::ArrayMap gpt2 = Renamed(Tensors("gpt2"), [](const std::string& name) {
    return name == "transformer.h.0.mlp.c_fc.weight" ? "" : name;
  });
  gpt2.Put<float>("transformer.h.0.mlp.c_fc.weight", std::vector<float>(128 * 32), {128, 32});
  EXPECT_THAT(ErrorOf(Folder("gpt2", gpt2)), HasSubstr("[128, 32] instead of [32, 128]"));
}

TEST_F(ModelFiles, MissingFilesAreNamed) {
  EXPECT_EQ(ErrorOf(scratch_ / "none"), "no such folder at M: expected a model's folder");
  EXPECT_EQ(ErrorOf(scratch_), "no config.json at M: expected a model's folder");
  const fs::path folder = scratch_ / "model";
  fs::create_directory(folder);
  fs::copy_file(Golden("llama") / "config.json", folder / "config.json");
  EXPECT_EQ(ErrorOf(folder),
            "no weights at M: expected model.safetensors or model.safetensors.index.json");
  core::WriteFileAtomic(folder / "pytorch_model.bin", std::string_view("x"));
  EXPECT_THAT(ErrorOf(folder), HasSubstr("pytorch_model.bin is not read"));
}

TEST_F(ModelFiles, ShardsAreChecked) {
  const fs::path folder = scratch_ / "model", index = folder / "model.safetensors.index.json";
  const DecoderLayout layout(ReadModelConfig(Golden("llama")));
  WriteModel(folder, layout, Read(Golden("llama")).span(), {.max_shard_bytes = 40'000});
  ASSERT_TRUE(fs::exists(folder / "model-00003-of-00003.safetensors"));
  fs::rename(folder / "model-00002-of-00003.safetensors", scratch_ / "aside");
  EXPECT_EQ(ErrorOf(folder),
            "the shard model-00002-of-00003.safetensors is missing at M: expected every file that "
            "model.safetensors.index.json names (is the download whole?)");
  fs::copy_file(folder / "model-00001-of-00003.safetensors",
                folder / "model-00002-of-00003.safetensors");
  EXPECT_THAT(ErrorOf(folder), HasSubstr("stands there twice at M/model-0000"));
  core::WriteFileAtomic(folder / "model-00002-of-00003.safetensors", std::string_view("x"));
  EXPECT_EQ(ErrorOf(folder),
            "M/model-00002-of-00003.safetensors: not a whole safetensors file: 1 bytes, shorter "
            "than a header");
  for (const char* text : {"", "{}", "[]", R"({"weight_map": 3})"}) {
    core::WriteFileAtomic(index, std::string_view(text));
    EXPECT_EQ(ErrorOf(folder),
              "no weight_map at M/model.safetensors.index.json: expected a JSON object with the "
              "file of every tensor");
  }
  for (const char* text :
       {R"({"weight_map": {"a": "../x"}})", R"({"weight_map": {"a": 3}})",
        R"({"weight_map": {"a": ".."}})", R"({"weight_map": {"a": "x\u0000"}})"}) {
    core::WriteFileAtomic(index, std::string_view(text));
    EXPECT_EQ(ErrorOf(folder),
              "the file of 'a' is no file name at M/model.safetensors.index.json: expected a file "
              "of this folder");
  }
}

TEST_F(ModelFiles, ADamagedFileNamesFileAndArray) {
  const fs::path folder = Folder("llama", Tensors("llama")), path = folder / "model.safetensors";
  const std::vector<std::byte> whole = core::ReadBinaryFile(path);
  core::WriteFileAtomic(path, std::span(whole).first(whole.size() - 1));
  EXPECT_THAT(ErrorOf(folder), HasSubstr("M/model.safetensors: not a whole safetensors file: the "
                                         "arrays take"));
  core::WriteFileAtomic(path, std::string_view(""));
  EXPECT_THAT(ErrorOf(folder), HasSubstr("0 bytes, shorter than a header"));
}

}  // namespace
}  // namespace pawl::nn
