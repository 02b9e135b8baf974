// Reading metrics.jsonl back: as columns for the report, its last line for lists of runs, and cut
// back to a checkpoint when a run resumes. Lines that are no JSON objects (torn by a power cut) are
// passed over.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "track/sink.h"

namespace pawl::track {

struct MetricsTable {
  std::vector<std::string> names;            // in the order they first appear
  std::vector<std::vector<double>> columns;  // [names][rows]; NaN where missing or null
  size_t num_rows = 0;
  int64_t bad_lines = 0;

  // The column, or an empty one where there is none.
  const std::vector<double>& Column(std::string_view name) const;
  // Whether the column holds any number.
  bool Has(std::string_view name) const;
  // The last number of a column, NaN where there is none.
  double Last(std::string_view name) const;
};

// Throws RunError when the file cannot be read.
MetricsTable ReadMetrics(const std::filesystem::path& path);

// The last whole line; empty when there is none or no such file. Reads the end of the file only.
Metrics ReadLastMetrics(const std::filesystem::path& path);

// Keeps the lines whose `updates` is at most `updates`, byte for byte; drops the later ones and
// what is no whole line. A missing file stays missing. The file is replaced atomically. Returns how
// many lines were dropped.
int64_t CutMetricsBack(const std::filesystem::path& path, int64_t updates);

}  // namespace pawl::track
