#include "track/metrics_file.h"

#include <cmath>

#include "tests/track/track_testing.h"
#include "track/jsonl_sink.h"

namespace pawl::track {
namespace {

using MetricsFileTest = FolderTest;

TEST_F(MetricsFileTest, ReadsColumnsWithNaNWhereMissingOrNull) {
  Put("m.jsonl",
      "{\"updates\": 1, \"a\": null}\n"
      "{\"updates\": 2, \"a\": 0.5, \"b\": 7}\n"
      "{\"updates\": 3}\n");
  const MetricsTable table = ReadMetrics(folder_ / "m.jsonl");
  EXPECT_EQ(table.num_rows, 3u);
  EXPECT_EQ(table.names, (std::vector<std::string>{"updates", "a", "b"}));
  EXPECT_EQ(table.Column("updates"), (std::vector<double>{1, 2, 3}));
  EXPECT_TRUE(std::isnan(table.Column("a")[0]));
  EXPECT_EQ(table.Column("a")[1], 0.5);
  EXPECT_TRUE(std::isnan(table.Column("b")[0]));
  EXPECT_EQ(table.Last("b"), 7);
  EXPECT_EQ(table.Column("b").size(), 3u);
  EXPECT_FALSE(table.Has("c"));
  EXPECT_TRUE(table.Column("c").empty());
}

TEST_F(MetricsFileTest, NumbersComeBackAsTheSinkGotThem) {
  const std::vector<double> values = {0.1, 1e-300, -0.0, 123456789.125, 1.0 / 3};
  {
    JsonlSink sink(folder_ / "m.jsonl");
    for (const double value : values) sink.Write(0, {{"v", value}});
  }
  const auto column = ReadMetrics(folder_ / "m.jsonl").Column("v");
  ASSERT_EQ(column.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(column[i], values[i]);
    EXPECT_EQ(std::signbit(column[i]), std::signbit(values[i]));
  }
}

TEST_F(MetricsFileTest, BadLinesArePassedOverAndCounted) {
  Put("m.jsonl", "{\"updates\": 1}\nnonsense\n[1]\n{\"updates\": 2}\n{\"upda");
  const MetricsTable table = ReadMetrics(folder_ / "m.jsonl");
  EXPECT_EQ(table.num_rows, 2u);
  EXPECT_EQ(table.bad_lines, 3);
}

TEST_F(MetricsFileTest, LastMetricsIgnoreATornLine) {
  Put("m.jsonl", "{\"updates\": 1}\n{\"updates\": 2, \"a\": null}\n{\"updates\": 3");
  const Metrics last = ReadLastMetrics(folder_ / "m.jsonl");
  EXPECT_EQ(Value(last, "updates"), 2);
  EXPECT_TRUE(std::isnan(Value(last, "a")));
  EXPECT_TRUE(ReadLastMetrics(folder_ / "none.jsonl").empty());
}

TEST_F(MetricsFileTest, LastMetricsOfALongFile) {
  JsonlSink sink(folder_ / "m.jsonl");
  for (int i = 1; i <= 5000; ++i) sink.Write(i, {{"updates", i}, {"padding", 1.0 / 3}});
  EXPECT_EQ(Value(ReadLastMetrics(folder_ / "m.jsonl"), "updates"), 5000);
}

TEST_F(MetricsFileTest, CutBackKeepsEarlierLinesByteForByte) {
  const std::string kept = "{\"updates\": 1, \"a\": 0.10}\n{ \"updates\":2}\n";
  Put("m.jsonl", kept + "{\"updates\": 3}\n{\"updates\": 4, \"a\"");
  EXPECT_EQ(CutMetricsBack(folder_ / "m.jsonl", 2), 2);
  EXPECT_EQ(Text("m.jsonl"), kept);
  EXPECT_EQ(CutMetricsBack(folder_ / "m.jsonl", 2), 0);
}

TEST_F(MetricsFileTest, CutBackDropsALastLineThatLacksItsEnd) {
  // whole JSON, but the newline never reached the disk: the next line would be glued to it
  Put("m.jsonl", "{\"updates\": 1}\n{\"updates\": 2}");
  EXPECT_EQ(CutMetricsBack(folder_ / "m.jsonl", 2), 1);
  EXPECT_EQ(Text("m.jsonl"), "{\"updates\": 1}\n");
}

TEST_F(MetricsFileTest, CutBackToZeroEmptiesAndAMissingFileStaysMissing) {
  Put("m.jsonl", "{\"updates\": 1}\n");
  EXPECT_EQ(CutMetricsBack(folder_ / "m.jsonl", 0), 1);
  EXPECT_EQ(Text("m.jsonl"), "");
  EXPECT_EQ(CutMetricsBack(folder_ / "none.jsonl", 0), 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "none.jsonl"));
}

}  // namespace
}  // namespace pawl::track
