// What a report shows of a language run in place of returns: its figures, and the text it generated
// during training. Part of report.cc, apart for its size.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "track/runs.h"

namespace pawl::track {

// A line of samples.jsonl.
struct TextSample {
  int64_t updates = 0;
  std::string prompt, text;
};
// In the order of the file; a missing file has none; lines that are torn are passed over.
std::vector<TextSample> ReadSamples(const std::filesystem::path& path);

// A tile of the page's top row.
std::string Tile(const std::string& title, const std::string& value, const std::string& below);
// The tiles of a language run.
std::string LanguageTiles(const RunInfo& run);
// A section with the newest texts in sight and the others folded; "" where there are none.
std::string SamplesSection(const std::vector<TextSample>& samples);

}  // namespace pawl::track
