#include "track/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/file.h"
#include "track/number_text.h"
#include "track/plot.h"
#include "track/report_page.h"
#include "track/report_plots.h"

namespace pawl::track {
namespace {
namespace fs = std::filesystem;
constexpr const char* kVideoName = "video.mp4";
constexpr const char* kReportName = "report.html";
// larger ones would make the page slow to open; they are linked instead
constexpr uint64_t kMaxVideoBytes = 4'000'000;

uint64_t FolderSize(const fs::path& folder) {
  uint64_t size = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;  // a checkpoint may be replaced meanwhile
    const uint64_t bytes = entry->is_regular_file(gone) ? entry->file_size(gone) : 0;
    if (!gone) size += bytes;
  }
  return size;
}

std::vector<ReportFile> ListFiles(const fs::path& folder) {
  std::vector<ReportFile> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == kReportName || name.ends_with(".tmp")) continue;
    if (entry.is_directory()) {
      files.push_back({name + "/", FolderSize(entry.path())});
    } else if (entry.is_regular_file()) {
      files.push_back({name, entry.file_size()});
    }
  }
  std::sort(files.begin(), files.end(),
            [](const ReportFile& a, const ReportFile& b) { return a.name < b.name; });
  return files;
}

std::string Base64(const std::string& bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k)
      text += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
  }
  return text;
}

std::string IntervalText(double low, double high, std::string (*text)(double)) {
  if (!std::isfinite(low) || !std::isfinite(high)) return "";
  return fmt::format("95 % interval {} to {}", text(low), text(high));
}
std::string ReturnText(double value) { return ShortNumber(value); }

// What it came to: the final evaluation where there is one, else the last training episodes.
std::string OutcomeTiles(const ReportInput& input) {
  std::string tiles;
  if (input.run.evaluation) {
    const RunEvaluation& e = *input.run.evaluation;
    if (std::isfinite(e.success_rate)) {
      tiles += Tile("Final success", PercentText(e.success_rate),
                    IntervalText(e.success_low, e.success_high, PercentText));
    }
    tiles += Tile("Final return", ShortNumber(e.return_mean),
                  IntervalText(e.return_low, e.return_high, ReturnText));
    tiles += Tile("Evaluation episodes", ShortNumber(e.episodes),
                  "mean length " + ShortNumber(e.episode_length_mean) + " steps");
    return tiles;
  }
  const double success = Value(input.run.last, "success_rate");
  if (std::isfinite(success))
    tiles += Tile("Success", PercentText(success), "last 100 training episodes");
  tiles += Tile("Return", ShortNumber(Value(input.run.last, "episode_return")),
                "last 100 training episodes");
  return tiles;
}

std::string Tiles(const ReportInput& input) {
  if (input.run.is_language())
    return "<div class=\"tiles\">" + LanguageTiles(input.run) + "</div>\n";
  const Metrics& last = input.run.last;
  const double steps = Value(last, "env_steps"), seconds = Value(last, "time_s");
  std::string tiles = OutcomeTiles(input);
  tiles +=
      Tile("Environment steps", CountText(steps),
           fmt::format("of {}, {} updates", CountText(static_cast<double>(input.run.total_steps)),
                       ShortNumber(Value(last, "updates"), 12)));
  tiles += Tile("Throughput", CountText(seconds > 0 ? steps / seconds : NAN),
                "steps per second, whole run");
  tiles += Tile("Wall time", DurationText(seconds), "");
  return "<div class=\"tiles\">" + tiles + "</div>\n";
}

std::string About(const RunInfo& run) {
  std::string about;
  const auto add = [&about](const std::string& text) {
    if (!text.empty()) about += (about.empty() ? "" : " · ") + EscapeHtml(text);
  };
  add(run.env);
  add(run.algorithm);
  add(fmt::format("seed {}", run.seed));
  add(run.machine);
  return "<p class=\"about\">" + about + "</p>\n";
}

std::string Video(const ReportInput& input) {
  if (input.video_name.empty()) return "";
  const std::string link = EscapeHtml(input.video_name);
  if (input.video_bytes.empty()) {
    return fmt::format("<section><h2>Video</h2><a href=\"{0}\">{0}</a></section>", link);
  }
  return fmt::format(
      "<section><h2>The policy at the end</h2><video controls muted loop playsinline "
      "src=\"data:video/mp4;base64,{}\"></video></section>",
      Base64(input.video_bytes));
}

std::string Files(const ReportInput& input) {
  std::string rows;
  for (const ReportFile& file : input.files) {
    rows += fmt::format("<tr><td><a href=\"{0}\">{0}</a></td><td>{1}</td></tr>",
                        EscapeHtml(file.name), SizeText(file.size_bytes));
  }
  return "<section><h2>Files</h2><table>" + rows + "</table></section>\n";
}
}  // namespace

ReportInput ReadReportInput(const fs::path& run_folder) {
  ReportInput input{.run = ReadRun(run_folder),
                    .metrics = ReadMetrics(run_folder / "metrics.jsonl"),
                    .config_text = core::ReadTextFile(run_folder / "config.toml"),
                    .files = ListFiles(run_folder),
                    .samples = ReadSamples(run_folder / "samples.jsonl")};
  for (const ReportFile& file : input.files) {
    if (file.name != kVideoName) continue;
    input.video_name = file.name;
    if (file.size_bytes < kMaxVideoBytes)
      input.video_bytes = core::ReadTextFile(run_folder / file.name);
  }
  return input;
}

std::string ReportHtml(const ReportInput& input) {
  const std::string name = EscapeHtml(input.run.name), status = Name(input.run.status);
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width\">\n<title>{}</title>\n<style>{}</style>\n<main>\n<h1>{}<span "
      "class=\"status "
      "{}\">{}</span></h1>\n",
      name, kReportStyle, name, status, status);
  html += About(input.run) + Tiles(input);
  const std::string video = Video(input);
  const std::string time = TimeBar(input.metrics);
  // the video stands beside what the run wrote
  html += video.empty()
              ? time
              : "<div class=\"top\">" + video + "<div>" + time + Files(input) + "</div></div>\n";
  const std::string plots =
      input.run.is_language() ? LanguagePlots(input.metrics) : ReportPlots(input.metrics);
  html += plots.empty() ? "<section>No update has been recorded yet.</section>\n"
                        : "<div class=\"plots\">\n" + plots + "</div>\n";
  html += TasksSection(input.run.tasks) + SamplesSection(input.samples);
  if (video.empty()) html += Files(input);
  html += "<section><details><summary>Config</summary><pre>" + EscapeHtml(input.config_text) +
          "</pre></details></section>\n";
  html +=
      "<footer>Lines of long runs are means over equal stretches, the shade reaches from the least "
      "to the greatest "
      "value.</footer>\n</main>\n<script>";
  return html + kReportScript + "</script>\n</html>\n";
}

fs::path WriteReport(const fs::path& run_folder) {
  const fs::path path = run_folder / kReportName;
  core::WriteFileAtomic(path, ReportHtml(ReadReportInput(run_folder)));
  return path;
}

}  // namespace pawl::track
