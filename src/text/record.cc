#include "text/record.h"

#include <algorithm>
#include <optional>

namespace pawl::text {
namespace {
constexpr size_t kMaxNamed = 12;  // columns that a message lists

// The value under a column's name, or under its path; null where there is none.
const Json* Find(const Json& row, const std::string& name) {
  if (const auto found = row.find(name); found != row.end()) return &*found;
  const Json* at = &row;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    begin = end + 1;
    if (at->is_array()) {
      const bool number = !part.empty() && part.size() < 10 &&
                          part.find_first_not_of("0123456789") == std::string::npos;
      if (!number || std::stoul(part) >= at->size()) return nullptr;
      at = &(*at)[std::stoul(part)];
    } else if (const auto found = at->find(part); at->is_object() && found != at->end()) {
      at = &*found;
    } else {
      return nullptr;
    }
  }
  return at;
}

std::vector<std::string> NamesOf(const Json& row) {
  std::vector<std::string> names;
  for (const auto& [name, value] : row.items()) names.push_back(name.substr(0, 40));
  return names;
}

std::string Listed(std::vector<std::string> names) {
  if (names.empty()) return "none";
  const bool more = names.size() > kMaxNamed;
  if (more) names.resize(kMaxNamed);
  return fmt::format("{}{}", fmt::join(names, ", "), more ? ", ..." : "");
}

Problem MissingColumn(const Json& row, const std::string& name, RecordKind kind) {
  const std::string nearest = NearestName(name, NamesOf(row));
  return {.what = fmt::format("no column '{}' for kind {} (columns: {})", name, NameOf(kind),
                              Listed(NamesOf(row))),
          .expected = "its columns, or their names under [data.columns]",
          .hint = nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest)};
}

Problem WrongType(const std::string& name, const Json& value, std::string expected) {
  return {.what = fmt::format("column '{}' is {}", name, KindOf(value)),
          .expected = std::move(expected),
          .hint = ""};
}

// A message's keys in the form of chat templates; false where it is none.
bool ReadMessage(Json& message, const std::string& name, size_t number, Problem& problem) {
  const auto wrong = [&](std::string what, std::string expected) {
    problem = {.what = fmt::format("message {} of column '{}' {}", number, name, what),
               .expected = std::move(expected),
               .hint = ""};
    return false;
  };
  if (!message.is_object())
    return wrong("is " + KindOf(message), "{\"role\": ..., \"content\": ...}");
  if (!message.contains("role") && message.contains("from")) {
    Json renamed = Json::object();
    for (auto& [key, value] : message.items()) {
      const std::string to = key == "from" ? "role" : key == "value" ? "content" : key;
      renamed[to] = std::move(value);
    }
    message = std::move(renamed);
    Json& role = message["role"];
    if (role == "human") role = "user";
    if (role == "gpt") role = "assistant";
  }
  const auto role = message.find("role");
  if (role == message.end() || !role->is_string())
    return wrong("has no role", "\"role\": \"user\", \"assistant\", \"system\" or \"tool\"");
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) {
    if (message.contains("tool_calls")) return true;
    return wrong("has no content", "\"content\": text");
  }
  if (!content->is_string() && !content->is_array())
    return wrong("has content that is " + KindOf(*content), "text, or a list of parts");
  return true;
}

// Takes columns from a row into a record, each with its check.
class RowReader {
 public:
  RowReader(const Json& row, const Columns& columns, RecordKind kind, Problem& problem)
      : row_(row), columns_(columns), kind_(kind), problem_(problem) {}

  const Json* Column(const std::string& name) {
    const Json* value = Find(row_, name);
    if (value == nullptr) {
      problem_ = MissingColumn(row_, name, kind_);
      return nullptr;
    }
    used_.push_back(name);
    return value;
  }
  bool Text(const std::string& name, Json& out) {
    const Json* value = Column(name);
    if (value == nullptr) return false;
    if (!value->is_string()) return Wrong(name, *value, "text");
    out = *value;
    return true;
  }
  bool Content(const std::string& name, Json& out) {
    const Json* value = Column(name);
    if (value == nullptr) return false;
    if (value->is_string()) {
      out = *value;
      return true;
    }
    if (!value->is_array()) return Wrong(name, *value, "text or a list of messages");
    if (value->empty()) {
      problem_ = {.what = fmt::format("column '{}' is an empty list", name),
                  .expected = "at least one message",
                  .hint = ""};
      return false;
    }
    out = *value;
    for (size_t i = 0; i < out.size(); ++i) {
      if (!ReadMessage(out[i], name, i + 1, problem_)) return false;
    }
    return true;
  }
  bool Label(bool& out) {
    const Json* value = Column(columns_.label);
    if (value == nullptr) return false;
    const bool zero_or_one = value->is_number_integer() && (*value == 0 || *value == 1);
    if (!value->is_boolean() && !zero_or_one) return Wrong(columns_.label, *value, "true or false");
    out = value->is_boolean() ? value->get<bool>() : *value == 1;
    return true;
  }
  // What templates take beside the messages; either may be absent or null.
  bool TemplateInputs(Record& record) {
    if (const Json* tools = Find(row_, columns_.tools); tools != nullptr && !tools->is_null()) {
      used_.push_back(columns_.tools);
      record.tools = *tools;
      // data sets that cannot hold lists of different objects store them as text
      if (tools->is_string() &&
          !ParseJson(tools->get_ref<const std::string&>(), record.tools, problem_))
        return Wrong(columns_.tools, *tools, "a list of tools, or its JSON as text");
      if (!record.tools.is_array() && !record.tools.is_null())
        return Wrong(columns_.tools, record.tools, "a list of tools, or its JSON as text");
    }
    const std::string name = "chat_template_kwargs";
    if (const Json* args = Find(row_, name); args != nullptr && !args->is_null()) {
      used_.push_back(name);
      if (!args->is_object()) return Wrong(name, *args, "an object");
      record.template_args = *args;
    }
    return true;
  }
  bool Has(const std::string& name) const { return Find(row_, name) != nullptr; }
  const std::vector<std::string>& used() const { return used_; }

 private:
  bool Wrong(const std::string& name, const Json& value, std::string expected) {
    problem_ = WrongType(name, value, std::move(expected));
    return false;
  }
  const Json& row_;
  const Columns& columns_;
  RecordKind kind_;
  Problem& problem_;
  std::vector<std::string> used_;
};

std::optional<RecordKind> KindOfRow(const Json& row, const Columns& columns) {
  const auto has = [&](const std::string& name) { return Find(row, name) != nullptr; };
  if (has(columns.chosen) && has(columns.rejected)) return RecordKind::kPreference;
  if (has(columns.messages) || has("conversations")) return RecordKind::kLanguage;
  if (has(columns.prompt) && has(columns.completion))
    return has(columns.label) ? RecordKind::kUnpaired : RecordKind::kPromptCompletion;
  if (has(columns.question) && has(columns.answer))
    return has(columns.thought) ? RecordKind::kThought : RecordKind::kPromptCompletion;
  if (has(columns.text)) return RecordKind::kLanguage;
  if (has(columns.prompt) || has(columns.question)) return RecordKind::kPrompt;
  return std::nullopt;
}

bool ReadParts(RowReader& reader, const Columns& columns, Record& record) {
  const auto or_else = [&](const std::string& name, const std::string& other) {
    return reader.Has(name) || !reader.Has(other) ? name : other;
  };
  const std::string prompt = or_else(columns.prompt, columns.question);
  switch (record.kind) {
    case RecordKind::kLanguage: {
      const std::string messages = or_else(columns.messages, "conversations");
      return reader.Content(reader.Has(messages) ? messages : columns.text, record.text);
    }
    case RecordKind::kPrompt:
      return reader.Content(prompt, record.prompt);
    case RecordKind::kPromptCompletion:
      return reader.Content(prompt, record.prompt) &&
             reader.Content(or_else(columns.completion, columns.answer), record.completion);
    case RecordKind::kUnpaired:
      return reader.Content(prompt, record.prompt) &&
             reader.Content(columns.completion, record.completion) && reader.Label(record.label);
    case RecordKind::kThought: {
      Json thought;
      if (!reader.Text(columns.question, record.prompt) || !reader.Text(columns.thought, thought) ||
          !reader.Text(columns.answer, record.completion))
        return false;
      record.thought = thought.get<std::string>();
      return true;
    }
    case RecordKind::kPreference:
      return reader.Content(columns.chosen, record.chosen) &&
             reader.Content(columns.rejected, record.rejected) &&
             (!reader.Has(columns.prompt) || reader.Content(columns.prompt, record.prompt));
    case RecordKind::kAuto:
      break;
  }
  return false;
}

// All parts text, or all parts messages. A prompt that is text beside preferences that are messages
// repeats what they begin with: it is left out.
bool CheckSameForm(Record& record, Problem& problem) {
  if (record.kind == RecordKind::kPreference && !record.prompt.is_null() &&
      IsConversational(record.prompt) != IsConversational(record.chosen))
    record.prompt = nullptr;
  std::optional<bool> form;
  for (const Json* part :
       {&record.text, &record.prompt, &record.completion, &record.chosen, &record.rejected}) {
    if (part->is_null()) continue;
    if (form && *form != IsConversational(*part)) {
      problem = {.what = "one part is text, another a list of messages",
                 .expected = "the same in all columns of a record",
                 .hint = ""};
      return false;
    }
    form = IsConversational(*part);
  }
  record.conversational = form.value_or(false);
  return true;
}

// Where two texts first differ, in bytes, at the beginning of a character; nothing where one begins
// with all of the other.
std::optional<size_t> FirstDifference(const std::string& a, const std::string& b) {
  const auto [at, unused] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  auto index = static_cast<size_t>(at - a.begin());
  if (index == std::min(a.size(), b.size())) return std::nullopt;
  while (index > 0 && (a[index] & 0xC0) == 0x80) --index;
  return index;
}

size_t PromptBytes(const std::string& chosen, const std::string& rejected) {
  if (const auto differs = FirstDifference(chosen, rejected)) {
    return *differs > 0 && chosen[*differs - 1] == ' ' ? *differs - 1 : *differs;
  }
  size_t last = std::min(chosen.size(), rejected.size());
  if (last > 0) --last;
  while (last > 0 && (chosen[last] & 0xC0) == 0x80) --last;
  return last;
}
}  // namespace

const char* NameOf(RecordKind kind) {
  for (const auto& [name, value] : core::EnumNames<RecordKind>::kTable) {
    if (value == kind) return name;
  }
  return "?";
}

Columns ReadColumns(const core::Table& table) {
  Columns columns;
  std::vector<std::string> known;
  columns.Each([&](const char* name, const std::string&) { known.emplace_back(name); });
  for (const std::string& key : table.Keys()) {
    const std::string nearest = NearestName(key, known);
    if (std::ranges::find(known, key) == known.end()) {
      throw UserError({.what = fmt::format("unknown column '{}'", key),
                       .where = "data.columns",
                       .expected = fmt::format("one of {}", fmt::join(known, ", ")),
                       .hint = nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest)});
    }
    const auto value = table.FindString(key);
    if (!value || value->empty()) {
      throw UserError({.what = fmt::format("data.columns.{} is no text", key),
                       .where = "data.columns",
                       .expected = "the name of the column in the files"});
    }
    columns.Each([&](const char* name, std::string& column) {
      if (name == key) column = *value;
    });
  }
  return columns;
}

bool ReadLine(std::string_view line, std::string_view separator, Record& record) {
  if (separator.empty()) {
    record.text = line;
    return true;
  }
  const size_t at = line.find(separator);
  if (at == std::string_view::npos) return false;
  record.kind = RecordKind::kPromptCompletion;
  record.prompt = line.substr(0, at + separator.size());
  record.completion = line.substr(at + separator.size());
  return true;
}

bool IsConversational(const Json& content) {
  return content.is_array() && !content.empty() && content[0].is_object() &&
         content[0].contains("role");
}

Json ExtractPrompt(Json& chosen, Json& rejected) {
  if (chosen.is_string()) {
    auto& a = chosen.get_ref<std::string&>();
    auto& b = rejected.get_ref<std::string&>();
    const size_t size = PromptBytes(a, b);
    Json prompt = a.substr(0, size);
    a.erase(0, size);
    b.erase(0, size);
    return prompt;
  }
  const size_t shorter = std::min(chosen.size(), rejected.size());
  size_t size = 0;
  // as sets of keys: their order is no difference
  while (size < shorter && nlohmann::json(chosen[size]) == nlohmann::json(rejected[size])) ++size;
  if (size == shorter && size > 0) --size;
  Json prompt = Json::array();
  for (size_t i = 0; i < size; ++i) prompt.push_back(chosen[i]);
  for (Json* list : {&chosen, &rejected}) {
    list->erase(list->begin(), list->begin() + static_cast<int64_t>(size));
  }
  return prompt;
}

bool ReadRecord(Json row, const Columns& columns, RecordKind wanted, Record& record,
                Problem& problem) {
  record = {};
  if (!row.is_object()) {
    problem = {.what = fmt::format("the line is {}", KindOf(row)),
               .expected = "a JSON object: {\"column\": value, ...}",
               .hint = ""};
    return false;
  }
  const auto kind = wanted == RecordKind::kAuto ? KindOfRow(row, columns) : wanted;
  if (!kind) {
    problem = {.what = fmt::format("no known columns (columns: {})", Listed(NamesOf(row))),
               .expected =
                   "text, messages, prompt, prompt and completion, chosen and rejected, or "
                   "question and answer",
               .hint = "[data.columns] says what they are called"};
    return false;
  }
  record.kind = *kind;
  RowReader reader(row, columns, *kind, problem);
  if (!ReadParts(reader, columns, record) || !reader.TemplateInputs(record) ||
      !CheckSameForm(record, problem))
    return false;
  if (record.kind == RecordKind::kPreference && record.prompt.is_null())
    record.prompt = ExtractPrompt(record.chosen, record.rejected);
  record.extra = std::move(row);
  for (const std::string& name : reader.used()) record.extra.erase(name);
  return true;
}

}  // namespace pawl::text
