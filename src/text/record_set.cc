#include "text/record_set.h"

#include "core/error.h"
#include "core/file.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
constexpr size_t kReadBytes = size_t{32} << 10;  // of a read of one record: about its 16 lines

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}
}  // namespace

RecordOptions RecordOptionsOf(const DataConfig& config) {
  RecordOptions options;
  options.columns = ReadColumns(config.columns);
  options.kind = config.kind;
  options.bad_records = config.bad_records;
  options.invalid_utf8 = config.invalid_utf8;
  options.max_line_bytes = config.max_line_mb * 1'000'000;
  options.check_lines = config.check_lines;
  options.holdout = config.eval_files.empty() ? config.holdout : 0;
  return options;
}

Error LineError(const LineProblem& problem, const std::string& hint) {
  return UserError({.what = problem.problem.what,
                    .where = fmt::format("{}:{}", problem.file, problem.line),
                    .expected = problem.problem.expected,
                    .hint = problem.problem.hint.empty() ? hint : problem.problem.hint});
}

RecordSet::RecordSet(const std::vector<std::string>& paths, const std::string& key,
                     const RecordOptions& options, const Visitor& visit)
    : options_(options), key_(key), kind_(options.kind) {
  files_.reserve(paths.size());
  for (const std::string& path : paths) {
    files_.push_back({DataFile(path, key), LineIndex()});
    Scan(files_.back(), visit, files_.size() - 1);
  }
}

// Whether a line that is not blank is a record; `kind`: what all records are, or kAuto.
bool RecordSet::Check(const LineReader::Line& line, RecordKind kind, Record& record,
                      Problem& problem, int64_t& replaced) const {
  if (line.too_long) {
    problem = {.what = fmt::format("a line of {} bytes", line.bytes),
               .expected = fmt::format("at most {} MB a line", options_.max_line_bytes / 1'000'000),
               .hint = "data.max_line_mb allows longer ones"};
    return false;
  }
  int64_t invalid = 0;
  const std::string text = ReplaceInvalidUtf8(line.text, invalid);
  if (invalid > 0 && options_.invalid_utf8 == InvalidUtf8::kRefuse) {
    problem = {.what = fmt::format("{} stretch{} of bytes {} no UTF-8", invalid,
                                   invalid == 1 ? "" : "es", invalid == 1 ? "is" : "are"),
               .expected = "UTF-8",
               .hint = "data.invalid_utf8 = \"replace\" makes U+FFFD of them"};
    return false;
  }
  replaced += invalid;
  Json row;
  if (!ParseJson(text, row, problem)) {
    if (line.number == 1 && text.starts_with('['))
      problem.hint = "a file that is one JSON list: jq -c '.[]' makes a line of each";
    return false;
  }
  if (!ReadRecord(std::move(row), options_.columns, options_.kind, record, problem)) return false;
  if (kind != RecordKind::kAuto && record.kind != kind) {
    problem = {.what = fmt::format("a record of kind {} among records of kind {}",
                                   NameOf(record.kind), NameOf(kind)),
               .expected = "one kind",
               .hint = "data.kind says which"};
    return false;
  }
  return true;
}

void RecordSet::Scan(File& file, const Visitor& visit, size_t number) {
  LineReader reader(file.data, options_.max_line_bytes);
  LineReader::Line line;
  Record record;
  while (reader.Next(line)) {
    ++counts_.lines;
    const Side side = IsHeldOut(line.number, options_.holdout) ? Side::kHeldOut : Side::kTrain;
    if (!line.too_long && IsBlank(line.text)) {
      ++counts_.empty_lines;
      file.index.Add(line.offset, false, side);
      continue;
    }
    const bool known = kind_ != RecordKind::kAuto;
    const bool unchecked = options_.check_lines > 0 && line.number > options_.check_lines && known;
    LineProblem bad{file.data.path(), line.number, {}};
    const bool good = unchecked || Check(line, kind_, record, bad.problem, counts_.replaced_utf8);
    file.index.Add(line.offset, good, side);
    if (good) {
      ++counts_.records;
      if (unchecked) continue;
      kind_ = record.kind;
      if (visit) visit(record, number, line.number);
      continue;
    }
    if (options_.bad_records == BadRecord::kRefuse)
      throw LineError(bad, "data.bad_records = \"skip\" passes over it");
    ++counts_.bad_lines;
    if (counts_.problems.size() < RecordCounts::kMaxProblems)
      counts_.problems.push_back(std::move(bad));
  }
  counts_.bytes += file.data.size();
  const uint32_t checksum = reader.Checksum();
  checksum_ = core::Crc32c(std::as_bytes(std::span(&checksum, 1)), checksum_);
  if (file.index.size(Side::kTrain) + file.index.size(Side::kHeldOut) > 0) return;
  if (!counts_.problems.empty()) throw LineError(counts_.problems.front());
  throw UserError({.what = fmt::format("'{}' is empty", file.data.path()),
                   .where = key_,
                   .expected = "at least one record"});
}

int64_t RecordSet::index_bytes() const {
  int64_t bytes = 0;
  for (const File& file : files_) bytes += file.index.bytes();
  return bytes;
}

bool RecordSet::Read(size_t file, Side side, int64_t index, Record& record) const {
  const File& from = files_[file];
  const LineIndex::Place place = from.index.Find(side, index);
  LineReader reader(from.data, options_.max_line_bytes, place.offset, place.number, kReadBytes);
  LineReader::Line line;
  bool there = true;
  for (int i = 0; i <= place.skip && there; ++i) there = reader.Next(line);
  LineProblem bad{from.data.path(), place.number + place.skip, {}};
  int64_t replaced = 0;
  if (!there) {
    bad.problem = {.what = "the file was cut short while it was read", .expected = "", .hint = ""};
    throw LineError(bad);
  }
  if (Check(line, kind_, record, bad.problem, replaced)) return true;
  if (options_.bad_records == BadRecord::kRefuse) throw LineError(bad);
  return false;
}

std::string RecordSet::PlaceOf(size_t file, Side side, int64_t index) const {
  const LineIndex::Place place = files_[file].index.Find(side, index);
  return fmt::format("{}:{}", files_[file].data.path(), place.number + place.skip);
}

}  // namespace pawl::text
