// What the tests of src/track share: a folder of their own, and files as text.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "core/file.h"

namespace pawl::track {

// A fresh folder per test, removed at its end.
class FolderTest : public ::testing::Test {
 protected:
  FolderTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              (std::string("pawl_track_") + info->test_suite_name() + "_" + info->name() + "_" +
               std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~FolderTest() override { std::filesystem::remove_all(folder_); }

  std::string Text(const std::string& name) const { return core::ReadTextFile(folder_ / name); }
  void Put(const std::string& name, const std::string& text) const {
    core::WriteFileAtomic(folder_ / name, std::string_view(text));
  }

  std::filesystem::path folder_;
};

}  // namespace pawl::track
