#include "core/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "core/file.h"

namespace pawl::core {
namespace {
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

enum class Shape { kRound, kSquare };

struct Inner {
  double rate = 0.5;
  std::vector<int64_t> sizes = {64, 64};
  template <class V>
  void Visit(V& v) {
    v.Field("rate", rate, {.help = "how fast", .min = 0, .max = 1, .unit = "1/s"});
    v.Field("sizes", sizes, {.help = "widths", .min = 1});
  }
};

struct Outer {
  bool on = true;
  int count = 3;
  int64_t steps = 1000;
  uint64_t seed = 1;
  double limit = 1e-5;
  double bound = std::numeric_limits<double>::infinity();
  std::string name = "a \"b\"\n\\ \x7f";
  std::vector<double> gains = {0.1, -2};
  std::vector<std::string> tags = {"x"};
  Inner inner;
  Table args;
  Shape shape = Shape::kRound;
  template <class V>
  void Visit(V& v);
};
}  // namespace

template <>
struct EnumNames<Shape> {
  static constexpr std::pair<const char*, Shape> kTable[] = {{"round", Shape::kRound},
                                                             {"square", Shape::kSquare}};
};

namespace {
template <class V>
void Outer::Visit(V& v) {
  v.Field("on", on, {.help = "switch"});
  v.Field("count", count, {.help = "how many", .min = 1, .max = 10});
  v.Field("steps", steps, {.help = "a|b", .min = 0});
  v.Field("seed", seed, {});
  v.Field("limit", limit, {.min = -1});
  v.Field("bound", bound, {.allow_infinite = true});
  v.Field("name", name, {});
  v.Field("gains", gains, {.max = 5});
  v.Field("tags", tags, {});
  v.Section("inner", inner, "what is inside");
  v.Raw("args", args, "free keywords");
  v.Field("shape", shape,
          {.help = "form"});  // after a section on purpose: printing must put it before
}

Outer Load(const Table& table) {
  Outer config;
  LoadConfig(table, config);
  return config;
}
Outer Load(std::string_view text) { return Load(Table::ParseString(text, "t.toml")); }

std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    return error.what();
  }
  return "(no error)";
}

TEST(Config, MissingKeysKeepTheirDefaults) {
  const Outer config = Load("");
  EXPECT_EQ(config.count, 3);
  EXPECT_EQ(config.inner.rate, 0.5);
  EXPECT_TRUE(config.args.empty());
}

TEST(Config, EveryTypeIsRead) {
  const Outer config = Load(R"(
    on = false
    count = 10
    steps = 9223372036854775807
    seed = 7
    limit = 2          # an integer is a number
    bound = -inf
    name = 'x'
    gains = [1, 2.5]
    tags = []
    shape = "square"
    [inner]
    rate = 1
    sizes = [8]
    [args]
    deep.er = [1, "a"]
  )");
  EXPECT_FALSE(config.on);
  EXPECT_EQ(config.count, 10);
  EXPECT_EQ(config.steps, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(config.seed, 7u);
  EXPECT_EQ(config.limit, 2.0);
  EXPECT_EQ(config.bound, -std::numeric_limits<double>::infinity());
  EXPECT_EQ(config.name, "x");
  EXPECT_THAT(config.gains, ElementsAre(1, 2.5));
  EXPECT_THAT(config.tags, IsEmpty());
  EXPECT_EQ(config.shape, Shape::kSquare);
  EXPECT_EQ(config.inner.rate, 1.0);
  EXPECT_THAT(config.inner.sizes, ElementsAre(8));
  EXPECT_EQ(config.args.ToToml(), "[deep]\ner = [1, \"a\"]\n");
}

struct BadInput {
  const char* text;
  const char* error;
};
class ConfigBadInput : public ::testing::TestWithParam<BadInput> {};

TEST_P(ConfigBadInput, IsExactlyThisLine) {
  EXPECT_EQ(ErrorOf([] { Load(GetParam().text); }), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ConfigBadInput,
    ::testing::Values(
        // unknown keys, at the top and inside, near and far from a known one
        BadInput{"\ncuont = 3", "unknown key 'cuont' at t.toml:2 (did you mean 'count'?)"},
        BadInput{"[inner]\n\nrat = 1",
                 "unknown key 'inner.rat' at t.toml:3 (did you mean 'inner.rate'?)"},
        BadInput{"[inner]\nwholly_other = 1",
                 "unknown key 'inner.wholly_other' at t.toml:2 (known here: rate, sizes)"},
        BadInput{"[iner]\nrate = 1", "unknown key 'iner' at t.toml:1 (did you mean 'inner'?)"},
        BadInput{
            "zzzzzz = 1\nyyyyyy = 2",
            "unknown key 'zzzzzz' at t.toml:1 (known here: on, count, steps, seed, limit, bound, "
            "name, gains, tags, inner, args, shape)"},
        // wrong types
        BadInput{"on = 1", "on is the integer 1 at t.toml:1: expected true or false"},
        BadInput{"count = \"3\"",
                 "count is the text \"3\" at t.toml:1: expected an integer between 1 and 10"},
        BadInput{
            "count = 3.0",
            "count is the number 3.0 at t.toml:1: expected an integer between 1 and 10 (write 3)"},
        BadInput{"steps = 1e6",
                 "steps is the number 1e+06 at t.toml:1: expected an integer >= 0 (write 1000000)"},
        BadInput{"steps = 1.5", "steps is the number 1.5 at t.toml:1: expected an integer >= 0"},
        BadInput{"limit = true", "limit is true at t.toml:1: expected a number >= -1"},
        BadInput{"name = 3", "name is the integer 3 at t.toml:1: expected a text (write \"3\")"},
        BadInput{"gains = 3", "gains is the integer 3 at t.toml:1: expected a list of numbers"},
        BadInput{"gains = [1,\n 'x']",
                 "gains[1] is the text \"x\" at t.toml:2: expected a number <= 5"},
        BadInput{"tags = ['a', 1]",
                 "tags[1] is the integer 1 at t.toml:1: expected a text (write \"1\")"},
        BadInput{"inner = 3", "inner is the integer 3 at t.toml:1: expected a table"},
        BadInput{"args = []", "args is the list [] at t.toml:1: expected a table"},
        BadInput{"name = 2031-05-01",
                 "name is the date 2031-05-01 at t.toml:1: expected a text (write \"2031-05-01\")"},
        BadInput{"[count]",
                 "count is the table {} at t.toml:1: expected an integer between 1 and 10"},
        // ranges
        BadInput{"count = 0",
                 "count is the integer 0 at t.toml:1: expected an integer between 1 and 10"},
        BadInput{
            "count = 99999999999",
            "count is the integer 99999999999 at t.toml:1: expected an integer between 1 and 10"},
        BadInput{"seed = -1",
                 "seed is the integer -1 at t.toml:1: expected an integer between 0 and "
                 "9223372036854775807"},
        BadInput{"[inner]\nrate = 1.5",
                 "inner.rate is the number 1.5 at t.toml:2: expected a number between 0 and 1"},
        BadInput{"[inner]\nsizes = [4, 0]",
                 "inner.sizes[1] is the integer 0 at t.toml:2: expected an integer >= 1"},
        BadInput{"gains = [6]", "gains[0] is the integer 6 at t.toml:1: expected a number <= 5"},
        BadInput{"limit = inf",
                 "limit is the number inf at t.toml:1: expected a finite number >= -1"},
        BadInput{"limit = nan",
                 "limit is the number nan at t.toml:1: expected a finite number >= -1"},
        BadInput{"bound = nan", "bound is the number nan at t.toml:1: expected a number"},
        BadInput{
            "shape = 'sqare'",
            "shape is the text \"sqare\" at t.toml:1: expected one of round, square (did you mean "
            "\"square\"?)"},
        BadInput{"shape = 1", "shape is the integer 1 at t.toml:1: expected one of round, square"},
        // long values are cut
        BadInput{
            "count = '0123456789012345678901234567890123456789012345678901234567890123456789'",
            "count is the text \"01234567890123456789012345678901234567890123456789012345... at "
            "t.toml:1: expected an integer between 1 and 10"}));

TEST(Config, TextThatIsNotTomlIsOneLineWithItsPlace) {
  for (const char* text :
       {"a = ", "a = 1\nb = = 2", "a = 1\na = 2", "[a\nb = 1", "a = \"x\ny\"",
        "a = 99999999999999999999", "\xff = 1", "a = [1, 2", "= 3", "[ = 1", "[$x]", "[[ ="}) {
    const std::string error = ErrorOf([&] { Table::ParseString(text, "t.toml"); });
    EXPECT_THAT(error,
                AllOf(HasSubstr("not TOML: "), HasSubstr(" at t.toml:"), Not(HasSubstr("\n"))));
    EXPECT_LT(error.size(), 400u);
  }
  const std::string error = ErrorOf([] { Table::ParseString("a = 1\nb = = 2", "t.toml"); });
  EXPECT_THAT(error, HasSubstr("t.toml:2:"));
}

TEST(Config, DeepNestingIsRefusedNotFollowed) {
  const std::string deep = "a = " + std::string(5000, '[') + std::string(5000, ']');
  EXPECT_THAT(ErrorOf([&] { Table::ParseString(deep, "t.toml"); }), HasSubstr("not TOML"));
}

TEST(Config, AMissingFileIsAUserError) {
  EXPECT_THAT(ErrorOf([] { Table::ParseFile("/nowhere/a.toml"); }),
              AllOf(HasSubstr("/nowhere/a.toml"), HasSubstr("No such file")));
}

TEST(Config, AFileNamesItselfInErrors) {
  const std::string path =
      ::testing::TempDir() + "pawl_config_test_" + std::to_string(::getpid()) + ".toml";
  WriteFileAtomic(path, std::string_view("on = true\ncount = 0\n"));
  EXPECT_THAT(ErrorOf([&] { Load(Table::ParseFile(path)); }), HasSubstr(path + ":2"));
  std::filesystem::remove(path);
}

// ---- overrides

TEST(ConfigOverride, SetsValuesOfEveryType) {
  const Table table = Table::ParseString("[inner]\nrate = 0.1", "t.toml")
                          .WithOverride("count=5")
                          .WithOverride("inner.rate = 0.25")
                          .WithOverride("inner.sizes=[1, 2]")
                          .WithOverride("name=HalfCheetah-v5")
                          .WithOverride("tags=[\"a\"]")
                          .WithOverride("shape=square")
                          .WithOverride("on=false")
                          .WithOverride("args.x.y=1");
  const Outer config = Load(table);
  EXPECT_EQ(config.count, 5);
  EXPECT_EQ(config.inner.rate, 0.25);
  EXPECT_THAT(config.inner.sizes, ElementsAre(1, 2));
  EXPECT_EQ(config.name, "HalfCheetah-v5");
  EXPECT_EQ(config.shape, Shape::kSquare);
  EXPECT_FALSE(config.on);
  EXPECT_EQ(config.args.Sub("x").ToToml(), "y = 1\n");
}

TEST(ConfigOverride, ValuesThatAreNotTomlAreTexts) {
  for (const auto& [assignment, expected] :
       std::vector<std::pair<std::string, std::string>>{{"name=", ""},
                                                        {"name=a b", "a b"},
                                                        {"name=a=b", "a=b"},
                                                        {"name=2031-05-01", "2031-05-01"},
                                                        {"name=runs/x#1", "runs/x#1"},
                                                        {"name='q'", "q"}}) {
    EXPECT_EQ(Load(Table().WithOverride(assignment)).name, expected) << assignment;
  }
}

TEST(ConfigOverride, LeavesTheOriginalAlone) {
  const Table table = Table::ParseString("count = 1", "t.toml");
  const Table changed = table.WithOverride("count=2");
  EXPECT_EQ(Load(table).count, 1);
  EXPECT_EQ(Load(changed).count, 2);
}

TEST(ConfigOverride, ErrorsNameTheOverride) {
  const auto error = [](const std::string& assignment) {
    return ErrorOf(
        [&] { Load(Table::ParseString("count = 1", "t.toml").WithOverride(assignment)); });
  };
  EXPECT_EQ(error("inner.rate=2"),
            "inner.rate is the integer 2 at --set inner.rate=2: expected a number between 0 and 1");
  EXPECT_EQ(error("inner.rat=2"),
            "unknown key 'inner.rat' at --set inner.rat=2 (did you mean 'inner.rate'?)");
  EXPECT_EQ(error("count.x=2"), "'count' is the integer 1 at --set count.x=2: expected a table");
  EXPECT_EQ(error("count"), "no 'key=value' at --set count: expected --set a.b.c=value");
  EXPECT_EQ(error("=3"), "no 'key=value' at --set =3: expected --set a.b.c=value");
  EXPECT_EQ(error("a..b=3"), "no 'key=value' at --set a..b=3: expected --set a.b.c=value");
  EXPECT_EQ(error("count=1\ninner.rate=1"),
            "more than one value at --set count=1 inner.rate=1: expected --set a.b.c=value");
  EXPECT_THAT(error("tags=[1, "),
              AllOf(HasSubstr("not a TOML value"), HasSubstr("--set tags=[1,")));
}

// ---- printing

TEST(ConfigPrint, ResolvedTextReadsBackToTheSameValues) {
  Outer config;
  config.limit = 0.1 + 0.2;  // 17 digits
  config.gains = {-1e300, -0.0, 5e-324, 4};
  config.tags = {"tab\t", "ünïcödé", ""};
  config.count = 7;
  config.shape = Shape::kSquare;
  config.inner.rate = 1.0 / 3;
  config.args = Table::ParseString("a.b = [1, {c = 2.0}]\n'odd key' = true\nd = {}", "t.toml");
  const auto fields = DescribeConfig(config);
  for (const std::string& text : {ToToml(fields), ToTomlWithHelp(fields)}) {
    Outer again = Load(Table::ParseString(text, "t.toml"));
    EXPECT_THAT(ConfigDifferences(fields, DescribeConfig(again)), IsEmpty()) << text;
    EXPECT_EQ(again.limit, config.limit);
    EXPECT_TRUE(std::signbit(again.gains[1]));
    EXPECT_EQ(again.name, config.name);
  }
}

TEST(ConfigPrint, LooksLikeThis) {
  Outer config;
  config.name = "n";
  EXPECT_EQ(
      ToToml(DescribeConfig(config)),
      "on = true\ncount = 3\nsteps = 1000\nseed = 1\nlimit = 1e-05\nbound = inf\nname = \"n\"\n"
      "gains = [0.1, -2.0]\ntags = [\"x\"]\nargs = {}\nshape = \"round\"\n"
      "\n[inner]\nrate = 0.5\nsizes = [64, 64]\n");
  EXPECT_THAT(
      ToTomlWithHelp(DescribeConfig(config)),
      AllOf(HasSubstr("# how many (integer, 1 to 10)\ncount = 3\n"),
            HasSubstr("# what is inside\n[inner]\n# how fast (number, 0 to 1, 1/s)\nrate = 0.5\n"),
            HasSubstr("# form (round|square)\n")));
  EXPECT_THAT(ToMarkdown(DescribeConfig(config)),
              AllOf(HasSubstr("| `steps` | integer, >= 0 | `1000` | a\\|b |\n"),
                    HasSubstr("## `inner`\n\nwhat is inside\n"),
                    HasSubstr("| `inner.rate` | number, 0 to 1, 1/s | `0.5` | how fast |\n")));
}

TEST(ConfigPrint, APrefixStandsBeforeEveryKey) {
  const auto fields = DescribeConfig(Inner{}, "env.args");
  EXPECT_EQ(fields[0].key, "env.args.rate");
  Inner config;
  EXPECT_EQ(
      ErrorOf([&] { LoadConfig(Table::ParseString("rate = 2", "t.toml"), config, "env.args"); }),
      "env.args.rate is the integer 2 at t.toml:1: expected a number between 0 and 1");
}

TEST(ConfigPrint, DifferencesNameKeyOldAndNew) {
  Outer before, after;
  after.count = 4;
  after.inner.sizes = {1};
  EXPECT_THAT(ConfigDifferences(DescribeConfig(before), DescribeConfig(after)),
              ElementsAre("count: 3 -> 4", "inner.sizes: [64, 64] -> [1]"));
  EXPECT_THAT(ConfigDifferences({}, DescribeConfig(Inner{})),
              ElementsAre("rate: (absent) -> 0.5", "sizes: (absent) -> [64, 64]"));
}

TEST(Table, KeysAndTextKeepTheOrderOfTheFile) {
  const Table table = Table::ParseString("z = 1\na = 2\n[m]\nq = 'x'\n[m.n]\n", "t.toml");
  EXPECT_THAT(table.Keys(), ElementsAre("z", "a", "m"));
  EXPECT_EQ(table.ToToml(), "z = 1\na = 2\n\n[m]\nq = \"x\"\n\n[m.n]\n");
  EXPECT_TRUE(table.Sub("absent").empty());
  EXPECT_THAT(ErrorOf([&] { table.Sub("a"); }),
              HasSubstr("a is the integer 2 at t.toml:2: expected a table"));
}

}  // namespace
}  // namespace pawl::core
