// What a file of records costs a run: seconds to check it, batches a second, peak resident memory.
// Prints one JSON object.
//   data_bench FILE... [--batches N] [--sequences N] [--context N] [--check-lines N]
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "text/load_data.h"

int main(int argc, char** argv) {
  using namespace pawl;
  text::DataConfig config;
  config.tokenizer = text::TokenizerKind::kByte;
  config.context = 2048;
  int64_t batches = 1000, sequences = 16;
  CLI::App app("data_bench");
  app.add_option("files", config.files)->required();
  app.add_option("--batches", batches);
  app.add_option("--sequences", sequences);
  app.add_option("--context", config.context);
  app.add_option("--check-lines", config.check_lines);
  CLI11_PARSE(app, argc, argv);
  try {
    const double begin = core::MonotonicSeconds();
    const text::LoadedData data = text::LoadData(config, nullptr);
    const double loaded = core::MonotonicSeconds();
    text::ShuffledBatches plain(*data.train, text::BatchOptionsOf(config, 1, sequences));
    int64_t tokens = 0;
    for (int64_t i = 0; i < batches; ++i) tokens += plain.Next().inputs();
    const double drawn = core::MonotonicSeconds();
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const nlohmann::ordered_json json = {
        {"mb", static_cast<double>(data.counts.bytes) / 1e6},
        {"records", data.records != nullptr ? data.records->counts().records : 0},
        {"load_s", loaded - begin},
        {"batches_per_s", static_cast<double>(batches) / (drawn - loaded)},
        {"tokens_per_s", static_cast<double>(tokens) / (drawn - loaded)},
        {"index_mb",
         data.records != nullptr ? static_cast<double>(data.records->index_bytes()) / 1e6 : 0},
        {"peak_rss_mb", static_cast<double>(usage.ru_maxrss) * 1024 / 1e6}};
    std::printf("%s\n", json.dump().c_str());
  } catch (const Error& error) {
    std::fprintf(stderr, "data_bench: %s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
