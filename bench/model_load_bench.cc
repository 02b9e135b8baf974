// A model's folder of a gigabyte, warm in the page cache: seconds to open and check its weight
// file, and to fill the flat parameters from it. One JSON object.
//   model_load_bench [--folder FOLDER] [--dtype float32] [--rounds N]
// Writes about 1 GB of float32 below FOLDER (the current one) and removes it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/safetensors_file.h"
#include "nn/model_families.h"
#include "nn/model_files.h"

namespace pawl::nn {
namespace {
namespace fs = std::filesystem;

// 254 million parameters.
ModelConfig GigabyteModel() {
  ModelConfig c;
  c.family = ModelFamily::kLlama;
  c.vocab = 32000, c.width = 1024, c.layers = 13, c.heads = c.kv_heads = 16, c.head_dim = 64;
  c.intermediate = 4096, c.max_positions = 2048, c.tied = true;
  SetFamilySwitches(c);
  CheckModelConfig(c, "model_load_bench");
  return c;
}

nlohmann::json Seconds(int rounds, const std::function<void()>& action) {
  std::vector<double> seconds;
  for (int i = 0; i < rounds; ++i) {
    const double start = core::MonotonicSeconds();
    action();
    seconds.push_back(core::MonotonicSeconds() - start);
  }
  std::sort(seconds.begin(), seconds.end());
  return {{"median", seconds[seconds.size() / 2]}, {"min", seconds[0]}, {"max", seconds.back()}};
}

int Run(int argc, char** argv) {
  std::string parent = ".", dtype = "float32";
  int rounds = 5;
  CLI::App app("time to open and read a model's folder of a gigabyte");
  app.add_option("--folder", parent, "where to write it");
  app.add_option("--dtype", dtype, "of the file")
      ->check(CLI::IsMember({"float32", "bfloat16", "float16"}));
  app.add_option("--rounds", rounds)->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);

  const fs::path folder = fs::path(parent) / "model_load_bench";
  const DecoderLayout layout(GigabyteModel());
  core::Buffer<float> flat(layout.size());
  for (size_t i = 0; i < flat.size(); ++i) flat.data()[i] = static_cast<float>(i % 1000);
  nlohmann::json out = {{"parameters", CountParameters(layout.config())}, {"dtype", dtype}};
  out["write_s"] =
      Seconds(1, [&] { WriteModel(folder, layout, flat.span(), {.dtype = dtype}); })["median"];
  const fs::path file = folder / "model.safetensors";
  out["file_bytes"] = fs::file_size(file);
  ReadWeights(folder, layout, flat.span());  // warm
  out["open_s"] = Seconds(rounds, [&] {
    const core::MappedSafetensors mapped(file);
    PAWL_CHECK_EQ(mapped.arrays().size(), layout.parameters().size());
  });
  out["read_s"] = Seconds(rounds, [&] { ReadWeights(folder, layout, flat.span()); });
  fs::remove_all(folder);
  fmt::print("{}\n", out.dump());
  return 0;
}
}  // namespace
}  // namespace pawl::nn

int main(int argc, char** argv) { return pawl::nn::Run(argc, argv); }
