#include "track/metrics_file.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/file.h"

namespace pawl::track {
namespace {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The object on a line, or a null value where the line is torn or something else.
Json ParseLine(std::string_view line) {
  Json object = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  return object.is_object() ? object : Json();
}

// Calls visit(line without its end, whether the end is there).
template <class Visit>
void ForEachLine(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    visit(text.substr(0, end), end != std::string_view::npos);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

double NumberOr(const Json& value) { return value.is_number() ? value.get<double>() : kNaN; }
}  // namespace

const std::vector<double>& MetricsTable::Column(std::string_view name) const {
  static const std::vector<double> kEmpty;
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? kEmpty : columns[static_cast<size_t>(found - names.begin())];
}

bool MetricsTable::Has(std::string_view name) const { return std::isfinite(Last(name)); }

double MetricsTable::Last(std::string_view name) const {
  const auto& column = Column(name);
  const auto found = std::find_if(column.rbegin(), column.rend(),
                                  [](double value) { return std::isfinite(value); });
  return found == column.rend() ? kNaN : *found;
}

MetricsTable ReadMetrics(const fs::path& path) {
  const std::string text = core::ReadTextFile(path);
  MetricsTable table;
  std::unordered_map<std::string, size_t> index;
  ForEachLine(text, [&](std::string_view line, bool /*whole*/) {
    if (line.empty()) return;
    const Json object = ParseLine(line);
    if (object.is_null()) {
      ++table.bad_lines;
      return;
    }
    for (const auto& [name, value] : object.items()) {
      const auto [slot, is_new] = index.try_emplace(name, table.names.size());
      if (is_new) {
        table.names.push_back(name);
        table.columns.emplace_back(table.num_rows, kNaN);
      }
      table.columns[slot->second].push_back(NumberOr(value));
    }
    ++table.num_rows;
    // a key that this line lacks, or has twice
    for (auto& column : table.columns) column.resize(table.num_rows, kNaN);
  });
  return table;
}

Metrics ReadLastMetrics(const fs::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return {};
  constexpr int64_t kTail = 64 * 1024;  // a line is about 1 kB
  const int64_t size = file.tellg();
  const int64_t begin = std::max<int64_t>(0, size - kTail);
  std::string text(static_cast<size_t>(size - begin), '\0');
  file.seekg(begin);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  Json last;
  ForEachLine(text, [&](std::string_view line, bool whole) {
    if (!whole) return;
    Json object = ParseLine(line);
    if (!object.is_null()) last = std::move(object);
  });
  Metrics metrics;
  for (const auto& [name, value] : last.items()) metrics.emplace_back(name, NumberOr(value));
  return metrics;
}

int64_t CutMetricsBack(const fs::path& path, int64_t updates) {
  if (!fs::exists(path)) return 0;
  const std::string text = core::ReadTextFile(path);
  std::string kept;
  kept.reserve(text.size());
  int64_t dropped = 0;
  ForEachLine(text, [&](std::string_view line, bool whole) {
    const Json object = whole ? ParseLine(line) : Json();
    const double at =
        object.is_null() || !object.contains("updates") ? kNaN : NumberOr(object["updates"]);
    if (!(at <= static_cast<double>(updates))) {
      ++dropped;
      return;
    }
    kept.append(line);
    kept += '\n';
  });
  if (dropped > 0) core::WriteFileAtomic(path, kept);
  return dropped;
}

}  // namespace pawl::track
