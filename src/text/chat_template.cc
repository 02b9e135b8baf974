#include "text/chat_template.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "text/jinja_evaluator.h"
#include "text/jinja_json.h"
#include "text/jinja_operators.h"
#include "text/jinja_parser.h"
#include "text/python_text.h"
#include "text/utf8.h"

namespace pawl::text {
namespace fs = std::filesystem;
using jinja::Entry;
using jinja::Kind;
using jinja::Named;
using jinja::Runtime;
using jinja::ToValue;
using jinja::Value;

struct ChatTemplate::Impl {
  std::string name, source;
  std::unique_ptr<const jinja::Tree> tree;
  ChatJson variables = ChatJson::object();
  std::shared_ptr<const Impl> tool_use;  // takes the place where tools are given
};

namespace {
[[noreturn]] void FailInput(const std::string& what, const std::string& hint = "") {
  throw UserError({.what = what, .where = "chat messages", .hint = hint});
}

// Names under which the reasoning of a message is passed; the first is what templates read.
constexpr std::string_view kReasoning[] = {"reasoning_content", "thinking", "reasoning"};

// A message as transformers gives it to the template: without fields that are null, its reasoning
// also as "thinking" and "reasoning_content". `continued`: the fields to which the tag is added.
class Message {
 public:
  Message(Runtime& runtime, const ChatJson& json) : runtime_(runtime) {
    if (!json.is_object()) FailInput("a message that is no object");
    entries_ = runtime.New<Entry>(json.size() + 2);
    for (const auto& item : json.items()) {
      if (item.value().is_null()) continue;
      entries_[count_++] = {Value::String(item.key()), ToValue(runtime, item.value(), 1)};
    }
    AliasReasoning();
  }
  Value value() const { return Value::Dict(entries_.first(count_)); }
  Value* Find(std::string_view key) {
    return const_cast<Value*>(FindKey(entries_.first(count_), key));
  }

 private:
  void AliasReasoning() {
    for (const std::string_view name : kReasoning) {
      const Value* found = Find(name);
      if (found == nullptr) continue;
      const Value reasoning = *found;
      if (Find("thinking") == nullptr) {
        std::copy_backward(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count_),
                           entries_.begin() + static_cast<std::ptrdiff_t>(count_) + 1);
        entries_[0] = {Value::String("thinking"), reasoning};
        ++count_;
      }
      if (Value* content = Find("reasoning_content")) {
        *content = reasoning;
      } else {
        entries_[count_++] = {Value::String("reasoning_content"), reasoning};
      }
      return;
    }
  }

  Runtime& runtime_;
  std::span<Entry> entries_;
  size_t count_ = 0;
};

// Marks the end of the text that is continued, so that it can be found in what was rendered.
constexpr std::string_view kTag = "CONTINUE_FINAL_MESSAGE_TAG ";
constexpr std::string_view kTagWord = "CONTINUE_FINAL_MESSAGE_TAG";

// Adds the tag to a field of the last message; returns the text before it.
std::string_view TagLastMessage(Runtime& runtime, Message& last, const std::string& field,
                                std::string_view source) {
  Value* found = last.Find(field);
  if (found == nullptr) {
    FailInput(fmt::format("a last message without the field '{}' that is to be continued", field));
  }
  std::vector<std::string_view> fields = {field};
  if (std::find(std::begin(kReasoning), std::end(kReasoning), field) != std::end(kReasoning)) {
    fields.assign(std::begin(kReasoning), std::end(kReasoning));
  }
  const Value original = *found;
  std::erase_if(fields, [&](std::string_view name) {
    const Value* other = last.Find(name);
    return other == nullptr || !Equal(runtime, *other, original);
  });
  const bool is_read = std::any_of(fields.begin(), fields.end(), [&](std::string_view name) {
    return source.find(name) != source.npos;
  });
  if (!is_read) FailInput(fmt::format("a field '{}' that the template does not read", field));
  if (original.Is(Kind::kString)) {
    for (const std::string_view name : fields) {
      *last.Find(name) = runtime.Concat(original.text(), kTag);
    }
    return original.text();
  }
  if (!original.Is(Kind::kList)) FailInput(fmt::format("a field '{}' that is no text", field));
  // of a message in parts, the last part with text
  for (size_t i = original.size(); i-- > 0;) {
    const Value& part = original.items()[i];
    const Value* text = part.Is(Kind::kDict) ? FindKey(part.entries(), "text") : nullptr;
    if (text == nullptr) continue;
    if (!text->Is(Kind::kString)) break;
    const std::string_view before = text->text();
    // the values are of this rendering alone
    const_cast<Value&>(*text) = runtime.Concat(before, kTag);
    return before;
  }
  FailInput("a last message without text that could be continued");
}

void CutAtTag(std::string& text, std::string_view continued) {
  const size_t at = text.rfind(kTagWord);
  if (at == text.npos || text.find(python::Strip(continued)) == text.npos) {
    FailInput("a last message that is not in what the template writes: it cannot be continued");
  }
  const bool keeps_space = std::string_view(text).substr(at, kTag.size()) == kTag;
  text.resize(at);
  if (!keeps_space) text.resize(python::RightStrip(text).size());
}

// The ranges in bytes of the text, cut to it.
std::vector<std::pair<size_t, size_t>> ByteRanges(
    std::string_view text, const std::vector<jinja::GenerationRange>& ranges) {
  std::vector<std::pair<size_t, size_t>> out;
  for (const auto& range : ranges) {
    const size_t begin = range.in_bytes ? range.begin : python::ByteOffset(text, range.begin);
    const size_t end = range.in_bytes ? range.end : python::ByteOffset(text, range.end);
    out.emplace_back(std::min(begin, text.size()), std::min(end, text.size()));
  }
  return out;
}

void AddVariables(Runtime& runtime, const ChatJson& object, std::vector<Named>& variables) {
  for (const auto& item : object.items()) {
    for (const std::string_view taken :
         {"messages", "tools", "documents", "add_generation_prompt"}) {
      if (item.key() == taken) FailInput(fmt::format("a further variable named '{}'", taken));
    }
    variables.push_back({item.key(), ToValue(runtime, item.value())});
  }
}

void CheckList(const ChatJson* list, const char* what) {
  if (list == nullptr || list->is_null()) return;
  const bool good =
      list->is_array() &&
      std::all_of(list->begin(), list->end(), [](const ChatJson& e) { return e.is_object(); });
  if (!good) FailInput(fmt::format("{} that are no list of objects", what));
}
}  // namespace

std::optional<std::tm> ParseDate(const std::string& date, const std::string& key) {
  if (date.empty()) return std::nullopt;
  std::tm day = {};
  const char* end = strptime(date.c_str(), "%Y-%m-%d", &day);
  if (end != nullptr && *end == '\0') return day;
  throw UserError({.what = fmt::format("'{}' is no date", date),
                   .where = key,
                   .expected = "year-month-day, as 2026-07-26"});
}

ChatTemplate ChatTemplate::Parse(std::string_view source, const std::string& name) {
  return Parse(source, name, ChatJson::object());
}

ChatTemplate ChatTemplate::Parse(std::string_view source, const std::string& name,
                                 const ChatJson& variables) {
  auto impl = std::make_shared<Impl>();
  impl->name = name;
  impl->source = source;
  impl->tree = jinja::Parse(source, name);
  impl->variables = variables;
  return ChatTemplate(std::move(impl));
}

bool ChatTemplate::has_generation() const {
  const auto& stmts = impl_->tree->stmts;
  return std::any_of(stmts.begin(), stmts.end(),
                     [](const jinja::Stmt& s) { return s.tag == jinja::Tag::kGeneration; });
}

Rendered ChatTemplate::Render(const ChatJson& messages, const RenderOptions& options) const {
  const bool has_tools = options.tools != nullptr && !options.tools->is_null();
  const Impl& impl = has_tools && impl_->tool_use != nullptr ? *impl_->tool_use : *impl_;
  if (!messages.is_array() || messages.empty()) {
    FailInput("an empty conversation", "give a list of at least one message");
  }
  if (!options.continue_field.empty() && options.add_generation_prompt) {
    FailInput("a message to continue together with a generation prompt");
  }
  CheckList(options.tools, "tools");
  CheckList(options.documents, "documents");
  const jinja::Limits limits{options.limits.steps, options.limits.memory_bytes,
                             options.limits.output_bytes, 200};
  Runtime runtime(impl.name, limits, options.date);

  const auto values = runtime.New<Value>(messages.size());
  std::string_view continued;
  for (size_t i = 0; i < values.size(); ++i) {
    Message message(runtime, messages[i]);
    if (!options.continue_field.empty() && i + 1 == values.size()) {
      continued = TagLastMessage(runtime, message, options.continue_field, impl.source);
    }
    values[i] = message.value();
  }
  std::vector<Named> variables;
  AddVariables(runtime, impl.variables, variables);
  if (options.kwargs != nullptr && !options.kwargs->is_null()) {
    if (!options.kwargs->is_object()) FailInput("further variables that are no object");
    AddVariables(runtime, *options.kwargs, variables);
  }
  variables.push_back({"messages", Value::List(values)});
  const auto optional = [&](const ChatJson* json) {
    return json == nullptr ? Value::None() : ToValue(runtime, *json);
  };
  variables.push_back({"tools", optional(options.tools)});
  variables.push_back({"documents", optional(options.documents)});
  variables.push_back({"add_generation_prompt", Value::Bool(options.add_generation_prompt)});

  jinja::Output output = jinja::Evaluate(*impl.tree, runtime, variables);
  if (!options.continue_field.empty()) CutAtTag(output.text, continued);
  Rendered rendered;
  rendered.assistant = ByteRanges(output.text, output.generations);
  rendered.text = std::move(output.text);
  return rendered;
}

namespace {

// The special tokens of a tokenizer_config.json as variables; `eos_token`: in place of its own.
ChatJson SpecialTokens(const ChatJson& config, const std::string& eos_token) {
  ChatJson tokens = ChatJson::object();
  const auto add = [&](const std::string& name, const ChatJson& value) {
    if (value.is_string()) tokens[name] = value;
    if (value.is_object() && value.contains("content")) tokens[name] = value["content"];
  };
  for (const char* name : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token",
                           "cls_token", "mask_token"}) {
    if (const auto found = config.find(name); found != config.end()) add(name, *found);
  }
  const auto extra = config.find("extra_special_tokens");
  if (extra != config.end() && extra->is_object()) {
    for (const auto& item : extra->items()) add(item.key(), item.value());
  }
  if (!eos_token.empty()) tokens["eos_token"] = eos_token;
  return tokens;
}

ChatJson ReadConfig(const fs::path& path) {
  if (!fs::exists(path)) return ChatJson::object();
  ChatJson config = ChatJson::parse(core::ReadTextFile(path), nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) {
    throw UserError({.what = "a file that is no JSON object", .where = path.string()});
  }
  return config;
}
}  // namespace

ChatTemplate LoadChatTemplate(const fs::path& folder, const std::string& eos_token) {
  const fs::path file = folder / "chat_template.jinja",
                 config_path = folder / "tokenizer_config.json";
  const ChatJson config = ReadConfig(config_path);
  const ChatJson tokens = SpecialTokens(config, eos_token);
  if (fs::exists(file)) return ChatTemplate::Parse(core::ReadTextFile(file), file.string(), tokens);
  const auto found = config.find("chat_template");
  const std::string name = config_path.string() + " (chat_template)";
  if (found != config.end() && found->is_string()) {
    return ChatTemplate::Parse(found->get<std::string>(), name, tokens);
  }
  std::shared_ptr<ChatTemplate::Impl> main;
  std::shared_ptr<const ChatTemplate::Impl> tool_use;
  for (const ChatJson& entry : found == config.end() ? ChatJson::array() : *found) {
    if (!entry.is_object() || !entry.contains("name") || !entry.contains("template") ||
        !entry["name"].is_string() || !entry["template"].is_string()) {
      throw UserError({.what = "a chat template without 'name' and 'template'", .where = name});
    }
    const std::string which = entry["name"].get<std::string>();
    if (which != "default" && which != "tool_use") continue;
    const ChatTemplate parsed = ChatTemplate::Parse(entry["template"].get<std::string>(),
                                                    fmt::format("{} '{}'", name, which), tokens);
    if (which == "default") {
      main = std::make_shared<ChatTemplate::Impl>();
      main->name = parsed.impl_->name;
      main->source = parsed.impl_->source;
      main->tree = jinja::Parse(main->source, main->name);
      main->variables = tokens;
    } else {
      tool_use = parsed.impl_;
    }
  }
  if (main == nullptr) {
    throw UserError({.what = "a model without a chat template",
                     .where = folder.string(),
                     .expected = "chat_template.jinja, or chat_template in tokenizer_config.json",
                     .hint = "base models have none: take an instruction-tuned one"});
  }
  main->tool_use = std::move(tool_use);
  return ChatTemplate(std::move(main));
}

std::shared_ptr<const ChatTemplate> FindChatTemplate(const fs::path& folder, const fs::path& file,
                                                     const std::string& eos_token) {
  std::error_code ignored;
  const ChatJson config = ReadConfig(folder / "tokenizer_config.json");
  if (!file.empty()) {
    return std::make_shared<const ChatTemplate>(ChatTemplate::Parse(
        core::ReadTextFile(file), file.string(), SpecialTokens(config, eos_token)));
  }
  const auto found = config.find("chat_template");
  const bool in_config = found != config.end() && !found->is_null();
  if (!in_config && !fs::exists(folder / "chat_template.jinja", ignored)) return nullptr;
  return std::make_shared<const ChatTemplate>(LoadChatTemplate(folder, eos_token));
}

}  // namespace pawl::text
