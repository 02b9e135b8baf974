#include "text/bleu.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/file.h"
#include "tests/goldens/goldens.h"

namespace pawl::text {
namespace {

class BleuGolden : public testing::Test {
 protected:
  const nlohmann::json golden_ =
      nlohmann::json::parse(core::ReadTextFile(GoldensFolder() / "text/bleu.json"));
};

TEST_F(BleuGolden, WordsAreSacrebleus) {
  for (const auto& entry : golden_["words"]) {
    const std::string line = entry["line"];
    EXPECT_EQ(BleuWords(line), entry["words"].get<std::vector<std::string>>()) << line;
  }
}

TEST_F(BleuGolden, ScoresAreSacrebleus) {
  double most = 0;
  for (const auto& entry : golden_["cases"]) {
    BleuCounts sums;
    for (size_t i = 0; i < entry["outputs"].size(); ++i) {
      const std::vector<std::string> references = entry["references"][i];
      const BleuCounts counts = CountBleu(entry["outputs"][i].get<std::string>(), references);
      sums.words += counts.words;
      sums.reference_words += counts.reference_words;
      for (int n = 0; n < kBleuOrder; ++n) {
        sums.matches[n] += counts.matches[n];
        sums.ngrams[n] += counts.ngrams[n];
      }
    }
    EXPECT_NEAR(BleuOf(sums), entry["bleu"].get<double>(), 1e-9) << entry.dump();
    most = std::max(most, BleuOf(sums));
  }
  EXPECT_GT(most, 20);  // the corpora are not all without a match
}

TEST(Bleu, NothingIsZeroAndTheReferenceItselfAHundred) {
  EXPECT_EQ(BleuOf({}), 0);
  const std::vector<std::string> references = {"a b c d e"};
  EXPECT_NEAR(BleuOf(CountBleu("a b c d e", references)), 100, 1e-9);
}

}  // namespace
}  // namespace pawl::text
