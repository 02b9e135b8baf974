// Chat templates: a conversation as the text that a model was trained on. Jinja as Python's
// transformers reads it (its sandbox, trim_blocks, lstrip_blocks, loop controls, tojson,
// raise_exception, strftime_now and {% generation %}); what of Jinja is not here is refused by name
// and line when the template is parsed. Immutable once parsed; any thread may render.
#pragma once
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pawl::text {

using ChatJson = nlohmann::ordered_json;

// Bounds of one rendering, which end a hostile template with an error.
struct RenderLimits {
  int64_t steps = 100'000'000;  // seconds of work
  size_t memory_bytes = size_t{1} << 30;
  size_t output_bytes = size_t{256} << 20;
};

// What stands beside the messages; what is pointed to outlives the call.
struct RenderOptions {
  const ChatJson* tools = nullptr;      // list of JSON schemas; null: None
  const ChatJson* documents = nullptr;  // list of objects; null: None
  const ChatJson* kwargs = nullptr;     // object of further variables, over those of the tokenizer
  bool add_generation_prompt = false;
  // The field of the last message whose text is to be continued ("content"): what the template
  // puts behind it is left out. Empty: none.
  std::string continue_field;
  // Of strftime_now; without it, a template that asks for the date fails.
  std::optional<std::tm> date;
  RenderLimits limits;
};

// "2026-07-26" as a date; nothing for "". Throws UserError naming the key it stands under.
std::optional<std::tm> ParseDate(const std::string& date, const std::string& key);

struct Rendered {
  std::string text;
  // Bytes [begin, end) that {% generation %} blocks wrote, in the order in which they ended.
  std::vector<std::pair<size_t, size_t>> assistant;
};

class ChatTemplate {
 public:
  // `name` stands in messages: "<what> [at <name>:<line>]". Throws UserError.
  static ChatTemplate Parse(std::string_view source, const std::string& name);
  // The same with variables that every rendering has: bos_token, eos_token, ...
  static ChatTemplate Parse(std::string_view source, const std::string& name,
                            const ChatJson& variables);

  // `messages`: a list of objects, at least one. As apply_chat_template does, fields that are null
  // are left out and reasoning is given under all its names. Throws UserError where the template
  // refuses the conversation (raise_exception), fails, or goes beyond the limits.
  Rendered Render(const ChatJson& messages, const RenderOptions& options = {}) const;

  // Whether the template marks what the assistant wrote.
  bool has_generation() const;

 private:
  friend ChatTemplate LoadChatTemplate(const std::filesystem::path& folder,
                                       const std::string& eos_token);
  struct Impl;
  explicit ChatTemplate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

// The template of a model's folder: chat_template.jinja, else chat_template of
// tokenizer_config.json (of several named ones "default", and "tool_use" where tools are given),
// with the special tokens of tokenizer_config.json as variables, `eos_token` in place of its own
// where it is given. Throws UserError where there is none.
ChatTemplate LoadChatTemplate(const std::filesystem::path& folder,
                              const std::string& eos_token = "");
// The same, or nullptr where there is none. `file`: a Jinja file in place of the folder's template.
std::shared_ptr<const ChatTemplate> FindChatTemplate(const std::filesystem::path& folder,
                                                     const std::filesystem::path& file = {},
                                                     const std::string& eos_token = "");

}  // namespace pawl::text
