#include "track/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace pawl::track {
namespace {
using ::testing::HasSubstr;
using ::testing::Not;

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(ThinOut, KeepsMeansAndExtremesOfEqualRuns) {
  Series series{.name = "a", .color = 2};
  for (int i = 0; i < 6; ++i) {
    series.x.push_back(i * 10);
    series.y.push_back(i * i);
  }
  const Series thin = ThinOut(series, 2);
  EXPECT_EQ(thin.x, (std::vector<double>{20, 50}));
  EXPECT_EQ(thin.y, (std::vector<double>{5.0 / 3, 50.0 / 3}));
  EXPECT_EQ(thin.low, (std::vector<double>{0, 9}));
  EXPECT_EQ(thin.high, (std::vector<double>{4, 25}));
  EXPECT_EQ(ThinOut(series, 6).y, series.y);
  EXPECT_TRUE(ThinOut(series, 6).low.empty());
}

TEST(ThinOut, PassesOverUndefinedValuesAndKeepsGaps) {
  const Series series{.name = "a", .x = {1, 2, 3, 4}, .y = {NAN, NAN, NAN, 8}};
  const Series thin = ThinOut(series, 2);
  EXPECT_TRUE(std::isnan(thin.y[0]));
  EXPECT_EQ(thin.y[1], 8);
}

TEST(PlotHtml, ALineGoesFromCornerToCorner) {
  // the drawing's area is x 52 to 546, y 10 to 216; both axes end at round numbers here
  const std::string html =
      PlotHtml({.title = "t", .series = {{.name = "a", .x = {0, 10}, .y = {0, 10}}}});
  EXPECT_THAT(html, HasSubstr("d=\"M52.0 216.0L546.0 10.0\""));
}

TEST(PlotHtml, AGapLiftsThePen) {
  const std::string html = PlotHtml(
      {.title = "t", .series = {{.name = "a", .x = {0, 5, 10, 15, 20}, .y = {0, 1, NAN, 1, 0}}}});
  const size_t line = html.find("class=\"line");
  ASSERT_NE(line, std::string::npos);
  EXPECT_EQ(Count(html.substr(line, html.find("/>", line) - line), "M"), 2u);
}

TEST(PlotHtml, NothingToShowIsNoPlot) {
  EXPECT_EQ(PlotHtml({.title = "t"}), "");
  EXPECT_EQ(PlotHtml({.title = "t", .series = {{.name = "a", .x = {1}, .y = {NAN}}}}), "");
}

TEST(PlotHtml, OnePointOneConstantAndHugeValuesAreDrawnWithoutNaN) {
  for (const std::vector<double>& y :
       {std::vector<double>{3}, {2, 2, 2}, {1e300, -1e300, 0}, {1e-300, 1e-299}}) {
    std::vector<double> x(y.size());
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
    const std::string html = PlotHtml({.title = "t", .series = {{.name = "a", .x = x, .y = y}}});
    EXPECT_THAT(html, HasSubstr("<svg"));
    EXPECT_THAT(html, Not(HasSubstr("nan")));
    EXPECT_THAT(html, Not(HasSubstr("inf")));
  }
}

TEST(PlotHtml, PositiveValuesOverManyDecadesGetALogScale) {
  const Series wide{.name = "a", .x = {0, 1}, .y = {0.1, 1000}},
      narrow{.name = "a", .x = {0, 1}, .y = {1, 100}};
  EXPECT_THAT(PlotHtml({.title = "t", .series = {wide}}), HasSubstr("log scale"));
  EXPECT_THAT(PlotHtml({.title = "t", .series = {narrow}}), Not(HasSubstr("log scale")));
}

TEST(PlotHtml, StackedAreasSumUp) {
  const std::string html =
      PlotHtml({.title = "t",
                .stacked = true,
                .series = {{.name = "low", .x = {0, 10}, .y = {4, 4}, .color = 0},
                           {.name = "high", .x = {0, 10}, .y = {6, 6}, .color = 1}}});
  EXPECT_THAT(html, HasSubstr("area f0\" d=\"M52.0 133.6L546.0 133.6L546.0 216.0L52.0 216.0Z"));
  EXPECT_THAT(html, HasSubstr("area f1\" d=\"M52.0 10.0L546.0 10.0L546.0 133.6L52.0 133.6Z"));
}

TEST(PlotHtml, OneOutlierInTheBandDoesNotFlattenTheLine) {
  const Series series{.name = "a", .x = {0, 1}, .y = {0, 1}, .low = {0, 0}, .high = {1, 1000}};
  EXPECT_THAT(PlotHtml({.title = "t", .series = {series}}), Not(HasSubstr(">1000<")));
}

TEST(PlotHtml, TextIsEscapedInThePageAndInTheScript) {
  const std::string html = PlotHtml(
      {.title = "a<b>",
       .series = {{.name = "</script>\"", .x = {0}, .y = {1}}, {.name = "b", .x = {0}, .y = {1}}}});
  EXPECT_THAT(html, HasSubstr("a&lt;b&gt;"));
  EXPECT_EQ(Count(html, "</script>"), 1u);
}

}  // namespace
}  // namespace pawl::track
