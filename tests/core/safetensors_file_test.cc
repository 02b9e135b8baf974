#include "core/safetensors_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <functional>
#include <iterator>

namespace pawl::core {
namespace {
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SafetensorsFile : public testing::Test {
 protected:
  SafetensorsFile() {
    std::string pattern = testing::TempDir() + "pawl_safetensors_XXXXXX";
    PAWL_CHECK(mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    path_ = folder_ / "w.safetensors";
  }
  ~SafetensorsFile() override { fs::remove_all(folder_); }
  std::string ErrorOf(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "(no error)";
  }
  fs::path folder_, path_;
};

ArrayMap Sample() {
  ArrayMap arrays;
  arrays.Put<uint8_t>("flags", std::vector<uint8_t>{1, 0, 1}, {3});
  arrays.Put<float>("w", std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  arrays.Put<double>("b", std::vector<double>{0.5, -0.5}, {2});
  arrays.Put<float>("empty", {}, {0, 4});
  arrays.metadata()["format"] = "pt";
  return arrays;
}

TEST_F(SafetensorsFile, MappedArraysAreThoseOfTheFile) {
  const ArrayMap arrays = Sample();
  WriteFileAtomic(path_, ToSafetensors(arrays));
  const MappedSafetensors mapped(path_);
  EXPECT_EQ(mapped.arrays().size(), arrays.arrays().size());
  EXPECT_EQ(mapped.metadata(), arrays.metadata());
  for (const NamedArray& array : arrays.arrays()) {
    const ArrayView* view = mapped.Find(array.name);
    ASSERT_NE(view, nullptr);
    EXPECT_EQ(view->dtype, array.dtype);
    EXPECT_EQ(view->shape, array.shape);
    EXPECT_TRUE(
        std::equal(view->data.begin(), view->data.end(), array.data.begin(), array.data.end()));
  }
  EXPECT_EQ(mapped.Find("W"), nullptr);
}

TEST_F(SafetensorsFile, WhatTheBytesReaderRefusesIsRefusedWithThePath) {
  const auto whole = ToSafetensors(Sample());
  for (const size_t size : {size_t{0}, size_t{7}, size_t{8}, size_t{100}, whole.size() - 1}) {
    WriteFileSynced(path_, std::span(whole).first(size));
    EXPECT_THAT(ErrorOf([&] { MappedSafetensors mapped(path_); }),
                HasSubstr(path_.string() + ": not a whole safetensors file: "));
  }
  EXPECT_THAT(ErrorOf([&] { MappedSafetensors mapped(folder_ / "none"); }), HasSubstr("none"));
  EXPECT_THAT(ErrorOf([&] { MappedSafetensors mapped(folder_); }), HasSubstr(folder_.string()));
}

TEST_F(SafetensorsFile, AStreamedFileIsTheSameBytes) {
  const ArrayMap arrays = Sample();
  std::vector<ArrayInfo> infos;
  for (const NamedArray& array : arrays.arrays()) {
    infos.push_back({array.name, array.dtype, array.shape});
  }
  SafetensorsWriter writer(path_, infos, arrays.metadata());
  std::vector<std::string> order;
  for (const ArrayInfo& info : writer.arrays()) {
    order.push_back(info.name);
    for (const std::byte& one : arrays.At(info.name).data) writer.Write({&one, 1});
    EXPECT_FALSE(fs::exists(path_));
  }
  EXPECT_THAT(order, ElementsAre("b", "empty", "w", "flags"));
  writer.Commit();
  EXPECT_EQ(ReadBinaryFile(path_), ToSafetensors(arrays));
}

TEST_F(SafetensorsFile, AWriterWantsEveryByteAndNoMore) {
  WriteFileAtomic(path_, std::string_view("old"));
  const std::vector<std::byte> bytes(12);
  {
    SafetensorsWriter writer(path_, {{"a", DType::kF32, {2}}}, {});
    writer.Write(std::span(bytes).first(7));
    EXPECT_THAT(ErrorOf([&] { writer.Commit(); }), HasSubstr("less data"));
    EXPECT_THAT(ErrorOf([&] { writer.Write(bytes); }), HasSubstr("more data"));
  }
  EXPECT_EQ(ReadTextFile(path_), "old");
  EXPECT_FALSE(fs::exists(path_.string() + ".tmp"));
  EXPECT_THROW(SafetensorsWriter(path_, {{"a", DType::kF32, {-1}}}, {}), Error);
  EXPECT_THROW(SafetensorsWriter(path_, {{"a", DType::kF32, {1}}, {"a", DType::kF32, {1}}}, {}),
               Error);
}

// a gigabyte of holes: only the header is read
TEST_F(SafetensorsFile, AGigabyteIsOpenedWithoutReadingIt) {
  std::vector<ArrayInfo> infos;
  for (int i = 0; i < 256; ++i) {
    infos.push_back({"layer." + std::to_string(i), DType::kBF16, {1024, 2048}});
  }
  const std::string header = SafetensorsHeader(infos, {});
  WriteFileSynced(path_, std::string_view(header));
  fs::resize_file(path_, header.size() + (uint64_t{1} << 30));
  struct rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  const MappedSafetensors mapped(path_);
  getrusage(RUSAGE_SELF, &after);
  EXPECT_EQ(mapped.arrays().size(), 256u);
  EXPECT_LT(after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt, 2000);
}

TEST_F(SafetensorsFile, AFolderIsExchangedAsAWhole) {
  const fs::path folder = folder_ / "model", temporary = folder_ / "model.tmp";
  for (const char* text : {"one", "two"}) {
    fs::create_directory(temporary);
    WriteFileSynced(temporary / text, std::string_view(text));
    CommitFolder(temporary, folder);
    EXPECT_EQ(ReadTextFile(folder / text), text);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
  }
  EXPECT_THROW(CommitFolder(temporary, folder), Error);
  EXPECT_EQ(ReadTextFile(folder / "two"), "two");
}

}  // namespace
}  // namespace pawl::core
