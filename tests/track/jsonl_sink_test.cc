#include "track/jsonl_sink.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/track/track_testing.h"

namespace pawl::track {
namespace {

using JsonlSinkTest = FolderTest;

TEST_F(JsonlSinkTest, OneObjectPerLineInOrderWithNullForUndefined) {
  JsonlSink sink(folder_ / "m.jsonl");
  sink.Write(2048, {{"env_steps", 2048}, {"episode_return", NAN}, {"approx_kl", 0.0125}});
  sink.Write(4096, {{"env_steps", 4096}, {"episode_return", -1.5}, {"approx_kl", INFINITY}});
  EXPECT_EQ(Text("m.jsonl"),
            "{\"env_steps\": 2048, \"episode_return\": null, \"approx_kl\": 0.0125}\n"
            "{\"env_steps\": 4096, \"episode_return\": -1.5, \"approx_kl\": null}\n");
}

TEST_F(JsonlSinkTest, GoesOnWithAnExistingFile) {
  { JsonlSink(folder_ / "m.jsonl").Write(1, {{"updates", 1}}); }
  { JsonlSink(folder_ / "m.jsonl").Write(2, {{"updates", 2}}); }
  EXPECT_EQ(Text("m.jsonl"), "{\"updates\": 1}\n{\"updates\": 2}\n");
}

TEST_F(JsonlSinkTest, ALineIsInTheFileBeforeTheNextOneIsWritten) {
  JsonlSink sink(folder_ / "m.jsonl");
  sink.Write(1, {{"updates", 1}});
  EXPECT_EQ(Text("m.jsonl"), "{\"updates\": 1}\n");  // no Flush: a killed process loses nothing
}

TEST_F(JsonlSinkTest, AMissingFolderIsAnErrorWithThePath) {
  try {
    JsonlSink sink(folder_ / "none" / "m.jsonl");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("none/m.jsonl"), std::string::npos) << error.what();
  }
}

TEST_F(JsonlSinkTest, AFullDiskIsAnError) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  JsonlSink sink("/dev/full");
  EXPECT_THROW(sink.Write(1, {{"updates", 1}}), Error);
}

TEST(SinkValue, IsNaNWhereMissingOrUndefined) {
  const Metrics metrics = {{"a", 1.5}, {"b", INFINITY}};
  EXPECT_EQ(Value(metrics, "a"), 1.5);
  EXPECT_TRUE(std::isnan(Value(metrics, "b")));
  EXPECT_TRUE(std::isnan(Value(metrics, "c")));
}

}  // namespace
}  // namespace pawl::track
