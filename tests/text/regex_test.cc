#include "text/regex.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "tests/goldens/goldens.h"

namespace pawl::text {
namespace {
using Json = nlohmann::json;

std::vector<std::string> Pieces(const std::string& pattern, const std::string& text) {
  std::vector<std::string> pieces;
  Regex::Compile(pattern, "test").ForEachMatch(text, [&](Regex::Match match) {
    pieces.push_back(text.substr(match.begin, match.end - match.begin));
  });
  return pieces;
}
using Strings = std::vector<std::string>;

std::string Refusal(const std::string& pattern) {
  try {
    Regex::Compile(pattern, "tokenizer.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return error.what();
  }
  return "";
}

TEST(Regex, EqualsThePackageOnItsPatternsAndOnEachPieceOfSyntax) {
  const Json golden = Json::parse(core::ReadTextFile(GoldensFolder() / "text/regex.json"));
  const auto texts = golden["texts"].get<std::vector<std::string>>();
  size_t matches = 0;
  for (const Json& one : golden["cases"]) {
    const auto pattern = one["pattern"].get<std::string>();
    const Regex regex = Regex::Compile(pattern, "golden");
    std::vector<std::vector<size_t>> expected(texts.size());
    for (const Json& row : one["matches"]) {
      expected[row[0].get<size_t>()].assign(row.begin() + 1, row.end());
    }
    // the first patterns were asked about all texts, the others about the short ones
    for (const size_t i : golden["short"].get<std::vector<size_t>>()) {
      // the package asks no pattern about the empty text
      if (texts[i].empty()) continue;
      std::vector<size_t> found;
      regex.ForEachMatch(texts[i], [&](Regex::Match match) {
        found.push_back(match.begin);
        found.push_back(match.end);
      });
      EXPECT_EQ(found, expected[i]) << pattern << "\n on " << Json(texts[i]).dump();
      matches += found.size() / 2;
    }
    for (const Json& row : one["matches"]) {
      std::vector<size_t> found;
      regex.ForEachMatch(texts[row[0].get<size_t>()], [&](Regex::Match match) {
        found.push_back(match.begin);
        found.push_back(match.end);
      });
      EXPECT_EQ(found, expected[row[0].get<size_t>()]) << pattern << "\n on text " << row[0];
    }
  }
  EXPECT_GT(matches, 5'000u);
}

TEST(Regex, PrefersTheFirstAlternativeAndTheLongestRun) {
  EXPECT_EQ(Pieces("a|ab", "ab"), Strings{"a"});
  EXPECT_EQ(Pieces("(?:a|ab)(?:c|bcd)", "abcd"), Strings{"abcd"});
  EXPECT_EQ(Pieces("a+?b?", "aab"), (Strings{"a", "ab"}));
  EXPECT_EQ(Pieces(R"(\s+(?!\S)|\s+)", "  x "), (Strings{" ", " ", " "}));
}

TEST(Regex, PossessiveRepeatsGiveNothingBack) {
  EXPECT_EQ(Pieces("a+a", "aaa"), Strings{"aaa"});
  EXPECT_EQ(Pieces("a++a", "aaa"), Strings{});
  EXPECT_EQ(Pieces("(?>a+)a", "aaa"), Strings{});
  // an interval knows no possessive form: this is (?:a{1,2})+
  EXPECT_EQ(Pieces("a{1,2}+a", "aaaa"), Strings{"aaaa"});
}

TEST(Regex, FindsFromAPlaceAndSeesWhatLiesBeforeIt) {
  const Regex word = Regex::Compile(R"(\bfoo)", "test");
  EXPECT_EQ(word.Find("xfoo foo", 1), (Regex::Match{5, 8}));
  EXPECT_EQ(word.Find("xfoo", 1), std::nullopt);
  EXPECT_EQ(Regex::Compile("(?<=é)b", "test").Find("ébb", 2), (Regex::Match{2, 3}));
  EXPECT_EQ(Regex::Compile("a*", "test").Find("b", 1), (Regex::Match{1, 1}));
}

TEST(Regex, LiteralsMatchThemselves) {
  const Regex dot = Regex::Literal("a.b");
  EXPECT_EQ(dot.Find("axb a.b", 0), (Regex::Match{4, 7}));
  EXPECT_EQ(dot.Find("axb", 0), std::nullopt);
}

TEST(Regex, PiecesCoverTheText) {
  std::vector<Regex::Match> matches, others;
  Regex::Compile("b+", "test").ForEachPiece("abbacb", [&](size_t begin, size_t end, bool match) {
    (match ? matches : others).push_back({begin, end});
  });
  EXPECT_EQ(matches, (std::vector<Regex::Match>{{1, 3}, {5, 6}}));
  EXPECT_EQ(others, (std::vector<Regex::Match>{{0, 1}, {3, 5}}));
}

TEST(Regex, RefusesWhatItDoesNotKnowByNameAndPlace) {
  EXPECT_EQ(
      Refusal(R"(a(b)\1)"),
      R"(regular expression: an escape that is not supported at byte 4 ('\1') at tokenizer.json)");
  EXPECT_NE(Refusal("ab(?<n>c)").find("a kind of group that is not supported at byte 2"),
            std::string::npos);
  const std::pair<const char*, const char*> cases[] = {
      {"(", "a '(' without its ')'"},
      {")", "a ')' that closes nothing"},
      {"[a", "a '[' without its ']'"},
      {"[]", "an empty class"},
      {"[b-a]", "a range whose ends are swapped"},
      {"[a-\\d]", "a range that ends with a class"},
      {"[\\d-a]", "a range that begins with a class"},
      {"*a", "a repeat of nothing"},
      {"a|+", "a repeat of nothing"},
      {"{2}", "a repeat of nothing"},
      {"^*", "a repeat of an anchor"},
      {"(?=a)+", "a repeat of an anchor"},
      {"a{100001}", "a repeat of more than 100000"},
      {"a{2,1}", "a repeat whose ends are swapped"},
      {"\\p{Foo}", "a property that is not known"},
      {"\\p{L", "a property without its '}'"},
      {"\\pL", "a property without its '{'"},
      {"\\x{110000}", "the number of no character"},
      {"\\xff", "a byte that is no character"},
      {"\\u12", "a character's number that is too short"},
      {"\\", "a '\\' that nothing follows"},
      {"\\K", "an escape that is not supported"},
      {"(?<=a+)b", "a look-behind of no fixed length"},
      {"(?~a)", "a kind of group that is not supported"},
      {"(?i)ss", "'ss' with case ignored"},
      {"[[:alpha:]]", "a POSIX class that is not known"},
      {"a\xFF", "bytes that are not UTF-8"},
      {"(?:(?:ab?){1000}){1000}", "its repeats make it too large"},
  };
  for (const auto& [pattern, why] : cases) {
    EXPECT_NE(Refusal(pattern).find(why), std::string::npos) << pattern << ": " << Refusal(pattern);
  }
  EXPECT_NE(Refusal(std::string(10'000, '(')).find("nested too deep"), std::string::npos);
  EXPECT_NE(Refusal(std::string(10'000, '[')).find("nested too deep"), std::string::npos);
  EXPECT_NE(Refusal("a" + std::string(10'000, '?')).find("nested too deep"), std::string::npos);
}

// The trap: "\s+(?!\S)" on a long run. Linear, so well below a second for a megabyte.
TEST(Regex, LongRunsTakeLinearTime) {
  const std::string gpt2 =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  const std::string llama3 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
                             R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  for (const std::string& pattern : {gpt2, llama3}) {
    for (const char c : {' ', 'a', '1', '.', '\n', '\''}) {
      const std::string text = std::string(1 << 20, c) + "x";
      size_t covered = 0;
      Regex::Compile(pattern, "test").ForEachMatch(text, [&](Regex::Match match) {
        EXPECT_EQ(match.begin, covered);
        covered = match.end;
      });
      EXPECT_EQ(covered, text.size()) << pattern << " on '" << c << "'";
    }
  }
}

TEST(Regex, HostilePatternsEndInAnError) {
  for (const std::string pattern :
       {"(?:a+)+b", "(?:a|a)*b", "(?:a*)*b", "(?:a?){50}a{50}b", "(?=(?:a+)+b)a"}) {
    const Regex regex = Regex::Compile(pattern, "test");
    try {
      EXPECT_EQ(regex.Find(std::string(100, 'a'), 0), std::nullopt) << pattern;
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 1);
      EXPECT_NE(std::string(error.what()).find("takes too long on a text"), std::string::npos);
    }
  }
  EXPECT_THROW(Regex::Compile("(?:a+)+b", "test").Find(std::string(100, 'a'), 0), Error);
}

TEST(Regex, AFullStackEndsTheSearch) {
  const std::string text(5'000'000, 'a');  // a frame for each turn, and there are 2^22
  for (const char* pattern :
       {"(?:(?:a|b)(?=aa))*", "(?:(?:a|b)(?>a?))*", "(?:a|b)*c", "(?:a??b?)*c"})
    EXPECT_THROW(Regex::Compile(pattern, "test").Find(text, 0), Error) << pattern;
}

TEST(Regex, LoopsOfNothingEnd) {
  EXPECT_EQ(Pieces("(?:a*)*b", "aab"), Strings{"aab"});
  EXPECT_EQ(Pieces("(?:|a)+b", "aab"), Strings{"aab"});
  EXPECT_EQ(Pieces("(?:)*b", "ab"), Strings{"b"});
  EXPECT_EQ(Pieces("(?:(?=a)b*)*a", "aa"), (Strings{"a", "a"}));
  EXPECT_EQ(Pieces("(?:(?:){1000}){1000}b", "ab"), Strings{"b"});
}

}  // namespace
}  // namespace pawl::text
