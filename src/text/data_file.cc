#include "text/data_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/file.h"

namespace pawl::text {
namespace {
namespace fs = std::filesystem;
constexpr size_t kChunkBytes = size_t{1} << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

Error ReadError(const std::string& path, int code) {
  return RunError(
      {.what = fmt::format("cannot read '{}': {}", path, std::generic_category().message(code))});
}

int OpenRegular(const std::string& path, const std::string& key) {
  // not a blocking open: a pipe could keep us waiting for ever
  int fd;
  do {
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0 && errno != ENOENT) throw ReadError(path, errno);
  struct stat info;
  const bool regular = fd >= 0 && ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if (regular) return fd;
  if (fd >= 0) ::close(fd);
  throw UserError({.what = fmt::format("'{}' {}", path, fd >= 0 ? "is no file" : "does not exist"),
                   .where = key,
                   .expected = "files of text or JSON lines",
                   .hint = fd >= 0 ? "" : "a path is taken from the folder that pawl runs in"});
}

// An open file without a name: gone when it is closed.
int OpenTemporary() {
  std::string name = (fs::temp_directory_path() / "pawl-data-XXXXXX").string();
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) {
    throw RunError({.what = fmt::format("cannot make a temporary file in '{}': {}",
                                        fs::temp_directory_path().string(),
                                        std::generic_category().message(errno)),
                    .hint = "TMPDIR names another folder"});
  }
  ::unlink(name.c_str());
  return fd;
}

void WriteAll(int fd, std::span<const char> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      throw RunError({.what = fmt::format("cannot unpack '{}' into '{}': {}", path,
                                          fs::temp_directory_path().string(),
                                          std::generic_category().message(errno)),
                      .hint = "unpack it yourself, or let TMPDIR name a folder with more room"});
    }
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
}

// Owns zlib's state.
class Inflater {
 public:
  Inflater() {
    // 16: gzip, and nothing else
    PAWL_CHECK(inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK, "zlib cannot start");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Unpacks `in` into pieces handed to `write`. False where the bytes are damaged.
  template <class Write>
  bool Feed(std::span<char> in, const Write& write) {
    stream_.next_in = reinterpret_cast<Bytef*>(in.data());
    stream_.avail_in = static_cast<uInt>(in.size());
    while (stream_.avail_in > 0) {
      if (between_) {
        // zeros may fill the end up; anything else begins another member
        if (*stream_.next_in == 0 && !first_) {
          ++stream_.next_in, --stream_.avail_in;
          continue;
        }
        if (!first_ && inflateReset(&stream_) != Z_OK) return false;
        between_ = first_ = false;
      }
      do {
        stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
        stream_.avail_out = static_cast<uInt>(out_.size());
        const int status = inflate(&stream_, Z_NO_FLUSH);
        const bool stuck = status == Z_BUF_ERROR && stream_.avail_in > 0 && stream_.avail_out > 0;
        if ((status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) || stuck)
          return false;
        write(std::span<const char>(out_.data(), out_.size() - stream_.avail_out));
        between_ = status == Z_STREAM_END;
      } while (stream_.avail_out == 0 && !between_);
    }
    return true;
  }
  // Whether the bytes so far end a member.
  bool Whole() const { return between_; }

 private:
  z_stream stream_{};
  std::vector<char> out_ = std::vector<char>(kChunkBytes);
  bool first_ = true, between_ = true;
};

Error DamagedGzip(const std::string& path, const std::string& key, bool cut_short) {
  return UserError(
      {.what = fmt::format("'{}' is {}", path,
                           cut_short ? "a gzip file that ends too early" : "a damaged gzip file"),
       .where = key,
       .expected = "a whole file",
       .hint = "gzip -t tests it; fetch it again?"});
}
}  // namespace

DataFile::DataFile(const std::string& path, const std::string& key)
    : path_(path), fd_(OpenRegular(path, key)) {
  try {
    struct stat info;
    if (::fstat(fd_, &info) < 0) throw ReadError(path_, errno);
    size_ = info.st_size;
    std::array<char, 4> magic{};
    std::string_view begin(magic.data(), ReadAt(0, magic));
    if (begin.starts_with("\x1F\x8B")) {
      Unpack(key);
      begin = {magic.data(), ReadAt(0, magic)};
    }
    if (begin.starts_with("\xFF\xFE") || begin.starts_with("\xFE\xFF")) {
      throw UserError({.what = fmt::format("'{}' is UTF-16", path_),
                       .where = key,
                       .expected = "UTF-8",
                       .hint = "iconv -f UTF-16 -t UTF-8 makes it"});
    }
    if (begin == "PAR1") {
      throw UserError({.what = fmt::format("'{}' is Parquet", path_),
                       .where = key,
                       .expected = "text or JSON lines",
                       .hint = "python -c \"import pandas; pandas.read_parquet('x.parquet')"
                               ".to_json('x.jsonl', orient='records', lines=True)\" makes them"});
    }
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

DataFile::~DataFile() {
  if (fd_ >= 0) ::close(fd_);
}

DataFile::DataFile(DataFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      packed_(other.packed_) {}

void DataFile::Unpack(const std::string& key) {
  const int unpacked = OpenTemporary();
  try {
    Inflater inflater;
    std::vector<char> chunk(kChunkBytes);
    int64_t offset = 0, written = 0;
    const auto write = [&](std::span<const char> bytes) {
      WriteAll(unpacked, bytes, path_);
      written += static_cast<int64_t>(bytes.size());
    };
    while (const size_t count = ReadAt(offset, chunk)) {
      if (!inflater.Feed(std::span(chunk).first(count), write))
        throw DamagedGzip(path_, key, false);
      offset += static_cast<int64_t>(count);
    }
    if (!inflater.Whole()) throw DamagedGzip(path_, key, true);
    size_ = written;
  } catch (...) {
    ::close(unpacked);
    throw;
  }
  ::close(std::exchange(fd_, unpacked));
  packed_ = true;
}

size_t DataFile::ReadAt(int64_t offset, std::span<char> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count =
        ::pread(fd_, out.data() + done, out.size() - done, offset + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw ReadError(path_, errno);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

std::string DataFile::ReadAll() const {
  std::string content(static_cast<size_t>(size_), '\0');
  content.resize(ReadAt(0, content));
  return content;
}

LineReader::LineReader(const DataFile& file, int64_t max_line_bytes, int64_t offset, int64_t number,
                       size_t buffer_bytes)
    : file_(file),
      max_line_bytes_(max_line_bytes),
      buffer_(buffer_bytes, '\0'),
      offset_(offset),
      next_read_(offset),
      number_(number) {}

bool LineReader::Fill() {
  at_ = 0;
  end_ = file_.ReadAt(next_read_, buffer_);
  next_read_ += static_cast<int64_t>(end_);
  checksum_ = core::Crc32c(std::as_bytes(std::span(buffer_.data(), end_)), checksum_);
  return end_ > 0;
}

bool LineReader::Next(Line& line) {
  if (at_ == end_ && !Fill()) return false;
  line = {.number = number_++, .offset = offset_};
  carry_.clear();
  for (bool found = false; !found;) {
    if (at_ == end_ && !Fill()) break;
    const char* begin = buffer_.data() + at_;
    const auto* stop = static_cast<const char*>(std::memchr(begin, '\n', end_ - at_));
    found = stop != nullptr;
    const size_t size = found ? static_cast<size_t>(stop - begin) : end_ - at_;
    at_ += size + (found ? 1 : 0);
    line.bytes += static_cast<int64_t>(size) + (found ? 1 : 0);
    line.too_long |= line.bytes > max_line_bytes_;
    if (line.too_long) {
      carry_.clear();
    } else if (found && carry_.empty()) {
      line.text = {begin, size};  // the usual case: no copy
    } else {
      carry_.append(begin, size);
      line.text = carry_;
    }
  }
  offset_ += line.bytes;
  if (line.too_long) {
    line.text = {};
    if (carry_.capacity() > buffer_.size()) carry_.shrink_to_fit();
  }
  if (line.offset == 0 && line.text.starts_with(kByteOrderMark))
    line.text.remove_prefix(kByteOrderMark.size());
  if (line.text.ends_with('\r')) line.text.remove_suffix(1);
  return true;
}

}  // namespace pawl::text
