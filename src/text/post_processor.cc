#include "text/post_processor.h"

#include <algorithm>

#include "text/json_entry.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
using Json = nlohmann::json;
constexpr char32_t kSpaceSymbol = 0x120;  // of ' ' among GPT-2's symbols

int32_t IdOf(const JsonEntry& entry, const Json& value) {
  if (!value.is_number_integer() || value < 0 || value > INT32_MAX)
    entry.Refuse(fmt::format("{} is no token id", value.dump()), "an id of the vocabulary");
  return value.get<int32_t>();
}

// ["[SEP]", 102]
PostProcessor::Part TokenPart(const JsonEntry& entry, const char* key) {
  const Json& pair = entry.Array(key);
  if (pair.size() != 2 || !pair[0].is_string())
    entry.Refuse(fmt::format("'{}' is {}", key, pair.dump()), "a token and its id");
  PostProcessor::Part part;
  part.ids.push_back(IdOf(entry, pair[1]));
  part.spaces.push_back(SpacesOf(pair[0].get<std::string>()));
  return part;
}

void Trim(Encoding& encoding, const std::vector<TokenSpaces>& spaces, bool add_prefix_space) {
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    TokenOffsets& offsets = encoding.offsets[i];
    int64_t leading = spaces[i].leading;
    const int64_t trailing = spaces[i].trailing;
    // a space that the pre-tokenizer put in front is none of the text
    const bool is_first = i == 0 || offsets.begin == 0;
    if (leading == 1 && is_first && add_prefix_space) leading = 0;
    offsets.begin = leading > 0 ? std::min(offsets.begin + leading, offsets.end) : offsets.begin;
    if (trailing > 0 && offsets.end >= trailing)
      offsets.end = std::max(offsets.end - trailing, offsets.begin);
  }
}
}  // namespace

TokenSpaces SpacesOf(std::string_view token) {
  const auto is_space = [](char32_t c) { return c == kSpaceSymbol || IsSpace(c); };
  TokenSpaces spaces;
  bool leading = true;
  for (size_t at = 0; at < token.size();) {
    const CodePoint point = CodePointAt(token, at);
    at += point.size;
    if (is_space(point.value)) {
      ++spaces.trailing;
      if (leading) ++spaces.leading;
    } else {
      spaces.trailing = 0;
      leading = false;
    }
  }
  return spaces;
}

PostProcessor::PostProcessor(const Json& entry, const std::string& source) {
  if (!entry.is_null()) Read(JsonEntry(entry, source + ": post_processor"));
}

PostProcessor PostProcessor::Around(std::vector<int32_t> before, std::vector<int32_t> after) {
  Step step;
  Part first, text, last;
  first.spaces.resize(before.size());
  first.ids = std::move(before);
  text.is_text = true;
  last.spaces.resize(after.size());
  last.ids = std::move(after);
  step.parts = {first, text, last};
  PostProcessor processor;
  processor.steps_.push_back(std::move(step));
  return processor;
}

void PostProcessor::ReadTemplate(const JsonEntry& entry) {
  Step step;
  const JsonEntry tokens = entry.Object("special_tokens");
  for (const JsonEntry& piece : entry.Objects("single")) {
    Part part;
    if (piece.Has("Sequence")) {
      if (piece.Object("Sequence").String("id") != "A")
        piece.Refuse("the template of one text names another one", "the sequence A");
      part.is_text = true;
    } else {
      const JsonEntry token = tokens.Object(piece.Object("SpecialToken").String("id").c_str());
      for (const Json& id : token.Array("ids")) part.ids.push_back(IdOf(token, id));
      for (const Json& name : token.Array("tokens"))
        part.spaces.push_back(name.is_string() ? SpacesOf(name.get<std::string>()) : TokenSpaces{});
      if (part.spaces.size() != part.ids.size())
        token.Refuse("'ids' and 'tokens' differ in length", "one token for each id");
    }
    step.parts.push_back(std::move(part));
  }
  steps_.push_back(std::move(step));
}

void PostProcessor::Read(const JsonEntry& entry) {
  const std::string type = entry.String("type");
  if (type == "Sequence") {
    for (const JsonEntry& part : entry.Objects("processors")) Read(part);
    return;
  }
  if (type == "TemplateProcessing") return ReadTemplate(entry);
  const bool roberta = type == "RobertaProcessing";
  if (type == "ByteLevel" || roberta) {
    if (entry.Bool("trim_offsets")) {
      Step step;
      step.trims = true;
      step.add_prefix_space = entry.Bool("add_prefix_space");
      steps_.push_back(std::move(step));
    }
    if (!roberta) return;
  }
  if (!roberta && type != "BertProcessing") {
    entry.Refuse(fmt::format("the post-processor {} is not supported", type),
                 "TemplateProcessing, ByteLevel, RobertaProcessing, BertProcessing or Sequence");
  }
  Step step;
  step.parts.push_back(TokenPart(entry, "cls"));
  step.parts.emplace_back().is_text = true;
  step.parts.push_back(TokenPart(entry, "sep"));
  steps_.push_back(std::move(step));
}

void PostProcessor::Wrap(std::vector<int32_t>& ids) const {
  for (const Step& step : steps_) {
    if (step.trims) continue;
    std::vector<int32_t> all;
    for (const Part& part : step.parts) {
      const std::vector<int32_t>& added = part.is_text ? ids : part.ids;
      all.insert(all.end(), added.begin(), added.end());
    }
    ids = std::move(all);
  }
}

void PostProcessor::WrapFront(std::vector<int32_t>& ids) const {
  for (const Step& step : steps_) {
    if (step.trims) continue;
    std::vector<int32_t> front;
    for (const Part& part : step.parts) {
      if (part.is_text) break;
      front.insert(front.end(), part.ids.begin(), part.ids.end());
    }
    ids.insert(ids.begin(), front.begin(), front.end());
  }
}

int32_t PostProcessor::max_id() const {
  int32_t greatest = -1;
  for (const Step& step : steps_) {
    for (const Part& part : step.parts) {
      for (const int32_t id : part.ids) greatest = std::max(greatest, id);
    }
  }
  return greatest;
}

bool PostProcessor::trims() const {
  return std::any_of(steps_.begin(), steps_.end(), [](const Step& step) { return step.trims; });
}

void PostProcessor::Apply(Encoding& encoding, std::vector<TokenSpaces> spaces,
                          bool add_special_tokens) const {
  spaces.resize(encoding.ids.size());
  for (const Step& step : steps_) {
    if (step.trims) {
      Trim(encoding, spaces, step.add_prefix_space);
      continue;
    }
    Encoding all;
    std::vector<TokenSpaces> all_spaces;
    const auto append = [](auto& to, const auto& from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    for (const Part& part : step.parts) {
      if (part.is_text) {
        append(all.ids, encoding.ids);
        append(all.offsets, encoding.offsets);
        append(all.is_special, encoding.is_special);
        append(all_spaces, spaces);
      } else if (add_special_tokens) {
        append(all.ids, part.ids);
        append(all_spaces, part.spaces);
        all.offsets.resize(all.ids.size());
        all.is_special.resize(all.ids.size(), 1);
      }
    }
    all.replaced_utf8 = encoding.replaced_utf8;
    encoding = std::move(all);
    spaces = std::move(all_spaces);
  }
}

}  // namespace pawl::text
