#include "text/data_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "text_testing.h"

namespace pawl::text {
namespace {

std::string Gzip(const std::string& text) {
  z_stream stream{};
  PAWL_CHECK(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  PAWL_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::vector<std::string> LinesOf(const DataFile& file, int64_t longest = 1000,
                                 size_t buffer_bytes = 1 << 20) {
  std::vector<std::string> lines;
  LineReader reader(file, longest, 0, 1, buffer_bytes);
  LineReader::Line line;
  int64_t next = 0;
  while (reader.Next(line)) {
    lines.push_back(line.too_long ? fmt::format("<{} bytes>", line.bytes) : std::string(line.text));
    EXPECT_EQ(line.number, static_cast<int64_t>(lines.size()));
    EXPECT_EQ(line.offset, next);
    next += line.bytes;
  }
  EXPECT_EQ(next, file.size());
  return lines;
}

TEST(LineReader, TakesOffMarksAndBreaksAndKeepsTheRest) {
  TempFolder folder;
  using L = std::vector<std::string>;
  const auto lines = [&](const std::string& text) {
    return LinesOf(DataFile(folder.Write("a", text), "files"));
  };
  EXPECT_EQ(lines(""), L{});
  EXPECT_EQ(lines("\n"), L{""});
  EXPECT_EQ(lines("a\nbc"), (L{"a", "bc"}));
  EXPECT_EQ(lines("a\r\n\r\nb\r\n"), (L{"a", "", "b"}));
  EXPECT_EQ(lines("\xEF\xBB\xBF"
                  "a\n\xEF\xBB\xBF"
                  "b\n"),
            (L{"a",
               "\xEF\xBB\xBF"
               "b"}));
  EXPECT_EQ(lines(std::string("a\0b\n", 4)), (L{std::string("a\0b", 3)}));
}

TEST(LineReader, ALineDoesNotDependOnTheBuffer) {
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 60; ++i) text += std::string(static_cast<size_t>(i * i % 41), 'x') + "y\n";
  const DataFile file(folder.Write("a", text), "files");
  const auto whole = LinesOf(file);
  ASSERT_EQ(whole.size(), 60u);
  for (const size_t bytes : {1, 2, 7, 40, 41, 42, 64}) EXPECT_EQ(LinesOf(file, 1000, bytes), whole);
}

TEST(LineReader, PassesOverLongLinesInBoundedMemory) {
  TempFolder folder;
  const DataFile file(folder.Write("a", "ab\n" + std::string(100, 'x') + "\ncd"), "files");
  for (const size_t bytes : {3, 50, 1000}) {
    EXPECT_EQ(LinesOf(file, 10, bytes), (std::vector<std::string>{"ab", "<101 bytes>", "cd"}));
  }
}

TEST(LineReader, BeginsWhereItIsTold) {
  TempFolder folder;
  const DataFile file(folder.Write("a", "ab\ncd\nef\n"), "files");
  LineReader reader(file, 10, 3, 2);
  LineReader::Line line;
  ASSERT_TRUE(reader.Next(line));
  EXPECT_EQ(line.text, "cd");
  EXPECT_EQ(line.number, 2);
}

TEST(DataFile, GzipIsUnpackedAlsoInSeveralMembers) {
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += fmt::format("line {}\n", i % 1009);
  const DataFile one(folder.Write("one", Gzip(text)), "files");
  EXPECT_TRUE(one.packed());
  EXPECT_EQ(one.size(), static_cast<int64_t>(text.size()));
  std::string read(text.size() + 1, '\0');
  read.resize(one.ReadAt(0, read));
  EXPECT_TRUE(read == text);
  const std::string padding(100, '\0');
  const DataFile two(folder.Write("two", Gzip("a\n") + Gzip("") + Gzip("b\n") + padding), "files");
  EXPECT_EQ(LinesOf(two), (std::vector<std::string>{"a", "b"}));
}

TEST(DataFile, DamagedGzipIsRefused) {
  TempFolder folder;
  const std::string whole = Gzip("some text that goes on for a while\n");
  const auto error = [&](const std::string& bytes) {
    return UserErrorOf([&] { DataFile(folder.Write("a.gz", bytes), "data.files"); });
  };
  EXPECT_EQ(error(whole), "");
  for (size_t size = 2; size < whole.size(); ++size) {
    EXPECT_THAT(error(whole.substr(0, size)), testing::HasSubstr("ends too early")) << size;
  }
  std::string flipped = whole;
  flipped[whole.size() - 5] ^= 1;  // of the checksum or the length
  EXPECT_THAT(error(flipped), testing::HasSubstr("damaged gzip"));
  EXPECT_THAT(error(whole + "more"), testing::HasSubstr("damaged gzip"));
  EXPECT_THAT(error(whole + "more"), testing::HasSubstr("data.files"));
}

TEST(DataFile, WhatIsNoTextFileIsRefused) {
  TempFolder folder;
  const auto error = [](const std::string& path) {
    return UserErrorOf([&] { DataFile(path, "data.files"); });
  };
  EXPECT_THAT(error((folder.path() / "none").string()), testing::HasSubstr("does not exist"));
  EXPECT_THAT(error(folder.path().string()), testing::HasSubstr("is no file"));
  EXPECT_THAT(error("/dev/zero"), testing::HasSubstr("is no file"));
  EXPECT_THAT(error(folder.Write("wide", std::string("\xFF\xFE{\0", 4))),
              testing::AllOf(testing::HasSubstr("UTF-16"), testing::HasSubstr("iconv")));
  EXPECT_THAT(error(folder.Write("wide.gz", Gzip("\xFF\xFEw."))), testing::HasSubstr("UTF-16"));
  EXPECT_THAT(error(folder.Write("p.parquet", "PAR1\x15\x04")),
              testing::AllOf(testing::HasSubstr("Parquet"), testing::HasSubstr("to_json")));
}

}  // namespace
}  // namespace pawl::text
