// Files of JSON lines as records that can be read in any order, in little memory: an index of lines
// (line_index.h), not the lines. The constructor reads through the files once and checks them;
// afterwards immutable, so that any thread may read records.
#pragma once
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "text/data_file.h"
#include "text/line_index.h"
#include "text/record.h"

namespace pawl::text {

struct RecordOptions {
  Columns columns;
  RecordKind kind = RecordKind::kAuto;
  BadRecord bad_records = BadRecord::kRefuse;
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kReplace;
  int64_t max_line_bytes = int64_t{64} << 20;
  int64_t check_lines = 0;  // of each file; 0: all
  double holdout = 0;       // share of each file's lines
};
RecordOptions RecordOptionsOf(const DataConfig& config);

// A bad line, for messages.
struct LineProblem {
  std::string file;
  int64_t line = 0;
  Problem problem;
};

// What stands in the files.
struct RecordCounts {
  int64_t lines = 0, empty_lines = 0, bad_lines = 0, replaced_utf8 = 0, bytes = 0;
  int64_t records = 0;  // lines that are no bad ones (not all of them checked: check_lines)
  std::vector<LineProblem> problems;  // the first kMaxProblems bad lines
  static constexpr size_t kMaxProblems = 20;
};

class RecordSet {
 public:
  // Called with each record that was checked: its file, line and length in bytes.
  using Visitor = std::function<void(const Record&, size_t file, int64_t line)>;

  // `key`: the config key or argument that named the files. Throws UserError with file and line for
  // a bad line where bad lines are refused, and for a file without a record.
  RecordSet(const std::vector<std::string>& paths, const std::string& key,
            const RecordOptions& options, const Visitor& visit = nullptr);

  size_t files() const { return files_.size(); }
  const std::string& path(size_t file) const { return files_[file].data.path(); }
  int64_t size(size_t file, Side side) const { return files_[file].index.size(side); }
  RecordKind kind() const { return kind_; }  // of all records
  const RecordCounts& counts() const { return counts_; }
  const RecordOptions& options() const { return options_; }
  // CRC-32C of all bytes of the files.
  uint32_t checksum() const { return checksum_; }
  int64_t index_bytes() const;

  // The index-th record of a file's side. False where the line is a bad one that was not checked
  // before and bad lines are skipped. Throws as the constructor does.
  bool Read(size_t file, Side side, int64_t index, Record& record) const;
  // Its place, for messages: "file:line".
  std::string PlaceOf(size_t file, Side side, int64_t index) const;

 private:
  struct File {
    DataFile data;
    LineIndex index;
  };
  bool Check(const LineReader::Line& line, RecordKind kind, Record& record, Problem& problem,
             int64_t& replaced) const;
  void Scan(File& file, const Visitor& visit, size_t number);
  RecordOptions options_;
  std::string key_;
  std::vector<File> files_;
  RecordKind kind_ = RecordKind::kAuto;
  RecordCounts counts_;
  uint32_t checksum_ = 0;
};

// One line for a bad line.
Error LineError(const LineProblem& problem, const std::string& hint = "");

}  // namespace pawl::text
