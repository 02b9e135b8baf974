#include "text/answer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/file.h"
#include "text/pass_at_k.h"

namespace pawl::text {
namespace {
namespace fs = std::filesystem;

// The lines of a data file, where somebody has put it; none else.
std::vector<nlohmann::json> Rows(const std::string& name) {
  std::vector<nlohmann::json> rows;
  for (fs::path root = PAWL_SOURCE_DIR;; root = root.parent_path()) {
    std::error_code ignored;
    if (fs::is_regular_file(root / "shared/data" / name, ignored)) {
      std::istringstream lines(core::ReadTextFile(root / "shared/data" / name));
      for (std::string line; std::getline(lines, line);)
        rows.push_back(nlohmann::json::parse(line));
      return rows;
    }
    if (root == root.parent_path()) return rows;
  }
}

TEST(Gsm8kAnswer, TheNumberBehindTheLastMark) {
  EXPECT_EQ(Gsm8kAnswer("6 * 3 = 18\n#### 1,234"), "1234");
  EXPECT_EQ(Gsm8kAnswer("A: 3\nA: -4.50."), "-4.50");
  EXPECT_EQ(Gsm8kAnswer("#### none\nA: 7"), "7");
  EXPECT_EQ(Gsm8kAnswer("Plan A: 3 eggs, 18 are left"), std::nullopt);
  EXPECT_EQ(Gsm8kAnswer("no answer"), std::nullopt);
  EXPECT_FALSE(IsGsm8kCorrect("no", "no"));
}

TEST(Gsm8kAnswer, TheLabelsOfTheBenchmarkAreReproduced) {
  const auto rows = Rows("math/gsm8k/example_model_solutions.jsonl");
  if (rows.empty()) GTEST_SKIP() << "no shared/data/math/gsm8k";
  int64_t compared = 0, correct = 0;
  for (const auto& row : rows) {
    for (const auto& item : row.items()) {
      if (!item.value().is_object()) continue;
      const bool label = item.value()["is_correct"];
      EXPECT_EQ(IsGsm8kCorrect(item.value()["solution"].get<std::string>(),
                               row["ground_truth"].get<std::string>()),
                label)
          << item.value()["solution"];
      ++compared;
      correct += label ? 1 : 0;
    }
  }
  EXPECT_EQ(compared, 5276);
  EXPECT_GT(correct, 1000);
}

TEST(Answer, LastNumberAndLastBoxed) {
  EXPECT_EQ(LastNumber("3 apples and 1,234.5."), "1234.5");
  EXPECT_EQ(LastNumber("it is -7!"), "-7");
  EXPECT_EQ(LastNumber("10-7"), "7");
  EXPECT_EQ(LastNumber("none"), std::nullopt);
  EXPECT_EQ(LastBoxed("\\boxed{1} so \\boxed{\\frac{1}{2}}."), "\\frac{1}{2}");
  EXPECT_EQ(LastBoxed("$\\boxed 5$"), "5");
  EXPECT_EQ(LastBoxed("\\boxed{1"), std::nullopt);
  EXPECT_EQ(LastBoxed("none"), std::nullopt);
}

TEST(Latex, FormsOfTheSameAnswerAreEqual) {
  const std::pair<const char*, const char*> kSame[] = {{"\\tfrac12", "\\dfrac{1}{2}"},
                                                       {"0.5", "1/2"},
                                                       {"x = 3", "3"},
                                                       {"\\left( 3, 4 \\right)", "(3,4)"},
                                                       {"50\\%", "50"},
                                                       {"90^\\circ", "90"},
                                                       {"\\sqrt3", "\\sqrt{3}"},
                                                       {".5", "0.5"},
                                                       {"5\\text{ cm}", "5"},
                                                       {"\\$12", "12"},
                                                       {"\\frac1{72}", "\\frac{1}{72}"}};
  for (const auto& [a, b] : kSame)
    EXPECT_TRUE(IsSameLatex(a, b)) << a << " " << NormalLatex(a) << " " << NormalLatex(b);
  EXPECT_FALSE(IsSameLatex("1/3", "1/2"));
  EXPECT_FALSE(IsSameLatex("x", "y"));
  for (const char* cut : {"\\frac", "\\frac1", "\\sqrt", "\\frac{1", "=", "/", ""})
    NormalLatex(cut);
}

TEST(Latex, EverySolutionOfMath500HasItsAnswer) {
  const auto rows = Rows("math/math500/test.jsonl");
  if (rows.empty()) GTEST_SKIP() << "no shared/data/math/math500";
  EXPECT_EQ(rows.size(), 500U);
  for (const auto& row : rows) {
    const auto boxed = LastBoxed(row["solution"].get<std::string>());
    ASSERT_TRUE(boxed.has_value()) << row["unique_id"];
    EXPECT_TRUE(IsSameLatex(*boxed, row["answer"].get<std::string>()))
        << *boxed << " " << row["answer"];
  }
}

TEST(PassAtK, CountsTheDraws) {
  EXPECT_DOUBLE_EQ(PassAtK(10, 3, 1), 0.3);
  EXPECT_DOUBLE_EQ(PassAtK(5, 2, 2), 1 - 3.0 / 10);  // C(3, 2) of C(5, 2) draws have none
  EXPECT_EQ(PassAtK(5, 0, 3), 0);
  EXPECT_EQ(PassAtK(5, 3, 3), 1);
}

}  // namespace
}  // namespace pawl::text
