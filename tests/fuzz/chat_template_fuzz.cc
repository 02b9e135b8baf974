// Any bytes as a chat template, with what follows a '\0' byte as the content of a message: either
// text or one pawl::Error of one line, within a small budget. What renders once renders the same
// again, and its ranges lie in the text.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"
#include "text/chat_template.h"

namespace {
using pawl::text::ChatJson;

void Require(bool condition) {
  if (!condition) std::abort();
}

const ChatJson& Tools() {
  static const ChatJson tools = ChatJson::parse(
      R"([{"type": "function", "function": {"name": "f", "parameters": {"a": [1, 2.5, null, true]}}}])");
  return tools;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t split = text.find('\0');
  const std::string content(split == text.npos ? "Hello  w\xC3\xB6rld" : text.substr(split + 1));
  const ChatJson messages = {{{"role", "system"}, {"content", "s"}},
                             {{"role", "user"}, {"content", content}},
                             {{"role", "assistant"}, {"tool_calls", Tools()}}};
  const ChatJson variables = {{"bos_token", "<s>"}, {"n", 3}, {"x", 0.5}};
  pawl::text::RenderOptions options;
  options.tools = &Tools();
  options.kwargs = &variables;
  options.limits = {.steps = 100'000, .memory_bytes = 4 << 20, .output_bytes = 1 << 16};
  options.date.emplace();
  options.date->tm_mday = 1;
  try {
    const auto chat = pawl::text::ChatTemplate::Parse(text.substr(0, split), "fuzz");
    const auto rendered = chat.Render(messages, options);
    Require(rendered.text.size() <= options.limits.output_bytes);
    for (const auto& [begin, end] : rendered.assistant) {
      Require(begin <= end && end <= rendered.text.size());
    }
    Require(chat.Render(messages, options).text == rendered.text);
  } catch (const pawl::Error& error) {
    const std::string_view line = error.what();
    Require(error.exit_code() == 2 && line.find('\n') == line.npos && line.size() < 2000);
  }
  return 0;
}
