#include "track/report_language.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "track/number_text.h"
#include "track/plot.h"

namespace pawl::track {
namespace {
// of a run that sampled often: these many times, spread over it, the last one among them
constexpr size_t kMaxShownTimes = 20;

std::string SampleHtml(const TextSample& sample) {
  return fmt::format("<p class=\"sample\"><b>{}</b>{}</p>", EscapeHtml(sample.prompt),
                     EscapeHtml(sample.text));
}
}  // namespace

std::vector<TextSample> ReadSamples(const std::filesystem::path& path) {
  std::vector<TextSample> samples;
  std::ifstream file(path, std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("updates") || !json["updates"].is_number_integer())
      continue;
    const auto text = [&json](const char* key) {
      return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
    };
    samples.push_back({json["updates"].get<int64_t>(), text("prompt"), text("text")});
  }
  return samples;
}

std::string Tile(const std::string& title, const std::string& value, const std::string& below) {
  return fmt::format("<div class=\"tile\"><div>{}</div><b>{}</b><div>{}</div></div>", title,
                     EscapeHtml(value), EscapeHtml(below));
}

std::string LanguageTiles(const RunInfo& run) {
  const Metrics& last = run.last;
  const double tokens = Value(last, "tokens"), seconds = Value(last, "time_s");
  std::string tiles;
  if (run.loss) {
    const std::string below =
        CountText(run.loss->targets) + " tokens of held-out text, final model";
    tiles += Tile("Final loss", ShortNumber(run.loss->loss), below);
    tiles += Tile("Final perplexity", ShortNumber(run.loss->perplexity), "of the same");
  } else {
    tiles += Tile("Loss", ShortNumber(Value(last, "loss")), "last update");
    tiles += Tile("Perplexity", ShortNumber(Value(last, "perplexity")), "last update");
  }
  if (run.best_step >= 0) {
    tiles += Tile("Lowest loss in training", ShortNumber(run.best_score),
                  fmt::format("after {} updates", run.best_step));
  }
  tiles += Tile(
      "Tokens", CountText(tokens),
      fmt::format("{} of {} updates", ShortNumber(Value(last, "updates"), 12), run.total_updates));
  tiles += Tile("Throughput", CountText(seconds > 0 ? tokens / seconds : NAN),
                "tokens per second, whole run");
  return tiles + Tile("Wall time", DurationText(seconds), "");
}

std::string SamplesSection(const std::vector<TextSample>& samples) {
  if (samples.empty()) return "";
  // [first, end) of each time, in the order of the file
  std::vector<std::pair<size_t, size_t>> times;
  for (size_t i = 0; i < samples.size(); ++i) {
    if (i == 0 || samples[i].updates != samples[i - 1].updates) times.push_back({i, i});
    times.back().second = i + 1;
  }
  const size_t shown = std::min(kMaxShownTimes, times.size());
  std::string html = "<section><h2>Samples</h2>";
  for (size_t k = 0; k < shown; ++k) {  // newest first
    const auto [begin, end] = times[(shown - k) * times.size() / shown - 1];
    html += fmt::format("<details{}><summary>after {} updates</summary>", k == 0 ? " open" : "",
                        samples[begin].updates);
    for (size_t i = begin; i < end; ++i) html += SampleHtml(samples[i]);
    html += "</details>";
  }
  return html + "</section>\n";
}

}  // namespace pawl::track
