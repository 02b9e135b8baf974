// report.html: one self-contained page about a run, from the files in its folder. Written at the
// end of training; may be written again at any time, also while the run goes on. No script or
// picture comes from elsewhere.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "track/metrics_file.h"
#include "track/report_language.h"
#include "track/runs.h"

namespace pawl::track {

struct ReportFile {
  std::string name;  // relative to the run folder; folders end in "/"
  uint64_t size_bytes = 0;
};

struct ReportInput {
  RunInfo run;
  MetricsTable metrics;
  std::string config_text;          // config.toml as it is
  std::vector<ReportFile> files;    // what the run wrote, by name
  std::vector<TextSample> samples;  // samples.jsonl, of a language run
  std::string video_name;           // relative to the page; "" = none
  std::string video_bytes;  // the video itself where it is small enough to stand in the page
};

// Reads a run's folder. Throws UserError where it is no run.
ReportInput ReadReportInput(const std::filesystem::path& run_folder);
// The page.
std::string ReportHtml(const ReportInput& input);
// Writes <run_folder>/report.html atomically and returns its path.
std::filesystem::path WriteReport(const std::filesystem::path& run_folder);

}  // namespace pawl::track
