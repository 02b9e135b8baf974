#include "kernels/cuda_library.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace pawl::kernels {
namespace {

// The message of the Error that f throws, and its exit code.
template <class F>
std::pair<std::string, int> ErrorOf(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return {error.what(), error.exit_code()};
  }
  return {"no error", 0};
}

TEST(CudaLibrary, StandsBesideTheExecutable) {
  const std::filesystem::path path = CudaLibrary::DefaultPath();
  EXPECT_EQ(path.filename(), "libpawl_cuda.so");
  EXPECT_TRUE(std::filesystem::exists(path.parent_path() / "kernels_test"));
}

TEST(CudaLibrary, ABuildWithoutItIsAUsersError) {
  const auto [message, code] = ErrorOf([] { CudaLibrary::Load("/nowhere/libpawl_cuda.so"); });
  EXPECT_THAT(message, testing::HasSubstr("device 'cuda' asked for but this build has no CUDA"));
  EXPECT_THAT(message, testing::HasSubstr("/nowhere/libpawl_cuda.so"));
  EXPECT_THAT(message, testing::Not(testing::HasSubstr("\n")));
  EXPECT_EQ(code, 2);
}

TEST(CudaLibrary, ADamagedFileIsNamed) {
  const std::string path =
      testing::TempDir() + "damaged_cuda_" + std::to_string(::getpid()) + ".so";
  std::ofstream(path) << "not a library";
  const auto [message, code] = ErrorOf([&] { CudaLibrary::Load(path); });
  EXPECT_THAT(message, testing::HasSubstr("cannot be loaded"));
  EXPECT_THAT(message, testing::HasSubstr(path));
  EXPECT_EQ(code, 1);
  std::filesystem::remove(path);
}

TEST(CudaLibrary, AnotherBuildsLibraryIsRefused) {
  EXPECT_THAT(ErrorOf([] { CudaLibrary::Load(FAKE_CUDA_0); }).first,
              testing::HasSubstr("of another build (interface 0)"));
}

TEST(CudaLibrary, NoDeviceIsAUsersErrorWithAHint) {
  const CudaLibrary library = CudaLibrary::Load(FAKE_CUDA_1);
  EXPECT_EQ(library.DeviceCount(), 0);
  const auto [message, code] = ErrorOf([&] { library.RequireDevice(); });
  EXPECT_THAT(message, testing::HasSubstr("device 'cuda' asked for but no CUDA device is visible"));
  EXPECT_THAT(message, testing::HasSubstr("CUDA_VISIBLE_DEVICES"));
  EXPECT_EQ(code, 2);
}

TEST(CudaLibrary, AFailedCallBringsTheLibrarysOwnWords) {
  const CudaLibrary library = CudaLibrary::Load(FAKE_CUDA_1);
  EXPECT_THAT(ErrorOf([&] { library.Allocate(16); }).first,
              testing::HasSubstr("allocating failed: no device here"));
}

}  // namespace
}  // namespace pawl::kernels
