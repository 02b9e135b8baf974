#include "text/json_entry.h"
#include "text/pre_tokenizer_kinds.h"
#include "text/unicode.h"

namespace pawl::text {
namespace {
constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

SplitBehavior ReadBehavior(const JsonEntry& entry, bool optional) {
  if (optional && !entry.Has("behavior")) return SplitBehavior::kIsolated;
  const std::string name = entry.String("behavior");
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  entry.Refuse(fmt::format("the behavior '{}' is unknown", name),
               "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

std::unique_ptr<const PreTokenizer> ReadSplit(const JsonEntry& entry) {
  const JsonEntry pattern = entry.Object("pattern");
  const SplitBehavior behavior = ReadBehavior(entry, false);
  const bool invert = entry.Bool("invert");
  if (pattern.Has("Regex")) {
    return std::make_unique<RegexSplit>(
        Regex::Compile(pattern.String("Regex"), pattern.place() + ".Regex"), behavior, invert);
  }
  return std::make_unique<RegexSplit>(Regex::Literal(pattern.String("String")), behavior, invert);
}

std::unique_ptr<const PreTokenizer> ReadMetaspace(const JsonEntry& entry) {
  Metaspace::Prepend prepend = Metaspace::Prepend::kAlways;
  const std::string scheme = entry.OptionalString("prepend_scheme").value_or("always");
  if (scheme == "first") {
    prepend = Metaspace::Prepend::kFirst;
  } else if (scheme == "never") {
    prepend = Metaspace::Prepend::kNever;
  } else if (scheme != "always") {
    entry.Refuse(fmt::format("the prepend_scheme '{}' is unknown", scheme),
                 "first, never or always");
  }
  // of older files
  if (!entry.Bool("add_prefix_space", true)) {
    if (entry.Has("prepend_scheme") && scheme != "never") {
      entry.Refuse("add_prefix_space is false, but prepend_scheme is not never", "one of them");
    }
    prepend = Metaspace::Prepend::kNever;
  }
  return std::make_unique<Metaspace>(entry.Character("replacement"), prepend,
                                     entry.Bool("split", true));
}

void Read(const JsonEntry& entry, PreTokenizers& out) {
  // what comes after ByteLevel sees the symbols
  if (out.ends_in_bytes) out.steps.push_back(MakeBytesToSymbols());
  out.ends_in_bytes = false;
  const std::string type = entry.String("type");
  if (type == "Sequence") {
    for (const JsonEntry& part : entry.Objects("pretokenizers")) Read(part, out);
  } else if (type == "ByteLevel") {
    if (entry.Bool("add_prefix_space")) out.steps.push_back(std::make_unique<PrefixSpace>());
    if (entry.Bool("use_regex", true)) {
      static const Regex kGpt2 = Regex::Compile(kGpt2Pattern, "GPT-2's pattern");
      out.steps.push_back(std::make_unique<RegexSplit>(kGpt2, SplitBehavior::kIsolated, false));
    }
    out.ends_in_bytes = true;
  } else if (type == "Metaspace") {
    out.asks_for_start = true;
    out.steps.push_back(ReadMetaspace(entry));
  } else if (type == "Split") {
    out.steps.push_back(ReadSplit(entry));
  } else if (type == "Digits") {
    const bool individual = entry.Bool("individual_digits");
    out.steps.push_back(std::make_unique<ClassSplit>(
        &IsNumeric, individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous));
  } else if (type == "Punctuation") {
    out.steps.push_back(std::make_unique<ClassSplit>(&IsPunctuation, ReadBehavior(entry, true)));
  } else if (type == "WhitespaceSplit") {
    out.steps.push_back(std::make_unique<ClassSplit>(&IsSpace, SplitBehavior::kRemoved));
  } else if (type == "Whitespace") {
    out.steps.push_back(std::make_unique<WordSplit>());
  } else {
    entry.Refuse(fmt::format("the pre-tokenizer {} is not supported", type),
                 "ByteLevel, Metaspace, Split, Digits, Whitespace, WhitespaceSplit, Punctuation or "
                 "Sequence");
  }
}
}  // namespace

PreTokenizers ReadPreTokenizers(const nlohmann::json& entry, const std::string& source) {
  PreTokenizers out;
  if (!entry.is_null()) Read(JsonEntry(entry, source + ": pre_tokenizer"), out);
  return out;
}

}  // namespace pawl::text
