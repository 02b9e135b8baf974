// Any bytes as a config file and as an override: either a config or one pawl::Error of one line.
// What was read prints to text that reads back to the same values.
#include <cstdint>
#include <cstdlib>

#include "core/config.h"

namespace {
using namespace pawl;

enum class Mode { kFast, kExact };
}  // namespace

template <>
struct pawl::core::EnumNames<Mode> {
  static constexpr std::pair<const char*, Mode> kTable[] = {{"fast", Mode::kFast},
                                                            {"exact", Mode::kExact}};
};

namespace {
struct Inner {
  double rate = 0.5;
  std::vector<int64_t> sizes = {64, 64};
  template <class V>
  void Visit(V& v) {
    v.Field("rate", rate, {.min = 0, .max = 1});
    v.Field("sizes", sizes, {.min = 1});
  }
};

struct Config {
  bool on = true;
  int count = 3;
  uint64_t seed = 1;
  double bound = 1;
  std::string name;
  std::vector<double> gains;
  std::vector<std::string> tags;
  Mode mode = Mode::kFast;
  Inner inner;
  core::Table args;
  template <class V>
  void Visit(V& v) {
    v.Field("on", on, {});
    v.Field("count", count, {.min = -5});
    v.Field("seed", seed, {});
    v.Field("bound", bound, {.allow_infinite = true});
    v.Field("name", name, {});
    v.Field("gains", gains, {});
    v.Field("tags", tags, {});
    v.Field("mode", mode, {});
    v.Section("inner", inner, "");
    v.Raw("args", args, "");
  }
};

void Require(bool condition) {
  if (!condition) std::abort();
}

void LoadAndPrint(const core::Table& table) {
  const std::string text = table.ToToml();
  Require(core::Table::ParseString(text, "printed").ToToml() == text);
  Config config;
  core::LoadConfig(table, config);
  const auto fields = core::DescribeConfig(config);
  Config again;
  core::LoadConfig(core::Table::ParseString(core::ToTomlWithHelp(fields), "printed"), again);
  Require(core::ConfigDifferences(fields, core::DescribeConfig(again)).empty());
}

void Try(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string_view line = error.what();
    Require(error.exit_code() == 2 && line.find('\n') == line.npos && line.size() < 2000);
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Try([&] { LoadAndPrint(core::Table::ParseString(text, "fuzz.toml")); });
  Try([&] { LoadAndPrint(core::Table().WithOverride(text)); });
  return 0;
}
