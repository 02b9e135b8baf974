// A data file opened for reading anywhere in it. Plain files are read in place; gzip, which can
// only be read from its beginning, is unpacked once into an unlinked temporary file. Immutable
// after the constructor, so any thread may read.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pawl::text {

class DataFile {
 public:
  // `key`: the config key or argument that named the file, for messages. Throws UserError where the
  // path is no file, holds a damaged gzip stream, UTF-16 or Parquet, RunError where it cannot be
  // read.
  DataFile(const std::string& path, const std::string& key);
  ~DataFile();
  DataFile(DataFile&& other) noexcept;
  DataFile& operator=(DataFile&&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }  // bytes, unpacked
  bool packed() const { return packed_; }
  // Bytes from `offset` on; fewer than asked for only at the end of the file.
  size_t ReadAt(int64_t offset, std::span<char> out) const;
  std::string ReadAll() const;

 private:
  void Unpack(const std::string& key);
  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
  bool packed_ = false;
};

// Lines of a file in order, with a bounded buffer: a line longer than `max_line_bytes` is passed
// over and only reported. A byte order mark before the first line and a carriage return at the end
// of any are taken off.
class LineReader {
 public:
  struct Line {
    std::string_view text;  // valid until the next call; empty where too_long
    int64_t number = 0;     // from 1
    int64_t offset = 0;     // of its first byte
    int64_t bytes = 0;      // with its line break
    bool too_long = false;
  };
  // Begins at `offset`, which must be the beginning of line `number`. The file outlives this.
  LineReader(const DataFile& file, int64_t max_line_bytes, int64_t offset = 0, int64_t number = 1,
             size_t buffer_bytes = size_t{1} << 20);
  // False at the end.
  bool Next(Line& line);
  // CRC-32C of every byte that was read.
  uint32_t Checksum() const { return checksum_; }

 private:
  bool Fill();
  const DataFile& file_;
  const int64_t max_line_bytes_;
  std::string buffer_, carry_;  // carry_: the part of a line before buffer_
  size_t at_ = 0, end_ = 0;     // of buffer_
  int64_t offset_, next_read_, number_;
  uint32_t checksum_ = 0;
};

}  // namespace pawl::text
