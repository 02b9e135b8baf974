#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/file.h"
#include "tests/goldens/goldens.h"
#include "text_testing.h"

namespace pawl::text {
namespace {

const ChatJson kHello = ChatJson::parse(R"([{"role": "user", "content": "Hello!"}])");

std::string Render(std::string_view source, const ChatJson& kwargs = ChatJson::object()) {
  return ChatTemplate::Parse(source, "t").Render(kHello, {.kwargs = &kwargs}).text;
}
std::string RenderError(std::string_view source, const RenderOptions& options = {}) {
  return UserErrorOf([&] { ChatTemplate::Parse(source, "t.jinja").Render(kHello, options); });
}

std::tm NowOf(const ChatJson& golden) {
  std::tm now{};
  const auto& parts = golden["now"];
  now.tm_year = parts[0].get<int>() - 1900;
  now.tm_mon = parts[1].get<int>() - 1;
  now.tm_mday = parts[2];
  now.tm_hour = parts[3];
  now.tm_min = parts[4];
  now.tm_sec = parts[5];
  now.tm_isdst = -1;
  std::mktime(&now);  // the day of the week and of the year
  return now;
}

uint64_t Fnv1a(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3;
  return hash;
}

RenderOptions OptionsOf(const ChatJson& conversation, const std::tm& now) {
  const auto pointer = [&](const char* key) {
    const auto found = conversation.find(key);
    return found == conversation.end() ? nullptr : &*found;
  };
  RenderOptions options;
  options.tools = pointer("tools");
  options.documents = pointer("documents");
  options.kwargs = pointer("kwargs");
  options.add_generation_prompt = conversation.value("add_generation_prompt", false);
  if (const ChatJson* field = pointer("continue_final_message")) {
    options.continue_field = field->is_string() ? field->get<std::string>() : "content";
  }
  options.date = now;
  return options;
}

// What differs from the golden; "" where nothing does.
std::string Difference(const ChatTemplate& chat, const ChatJson& conversation,
                       const RenderOptions& options, const ChatJson& golden) {
  Rendered ours;
  const std::string error =
      UserErrorOf([&] { ours = chat.Render(conversation["messages"], options); });
  if (golden.contains("error")) {
    return error.empty() ? fmt::format("no error, but: {}", golden["error"].get<std::string>())
                         : "";
  }
  if (!error.empty()) return error;
  if (golden.contains("fnv1a")) {
    if (fmt::format("{:016x}", Fnv1a(ours.text)) != golden["fnv1a"]) return "another text";
  } else if (ours.text != golden["text"]) {
    const std::string theirs = golden["text"];
    const auto [a, b] =
        std::mismatch(ours.text.begin(), ours.text.end(), theirs.begin(), theirs.end());
    const size_t at = static_cast<size_t>(a - ours.text.begin());
    const size_t from = at < 40 ? 0 : at - 40;
    return fmt::format("at {}: ours '{}', theirs '{}'", at, ours.text.substr(from, 80),
                       theirs.substr(from, 80));
  }
  const ChatJson ranges = ours.assistant;
  return ranges == golden["assistant"] ? "" : "other ranges: " + ranges.dump();
}

// Every template on every conversation as transformers renders them; the peer test records more
// templates.
TEST(ChatTemplateGolden, TextRangesAndRefusalsAreThoseOfTransformers) {
  const ChatJson golden =
      ChatJson::parse(core::ReadTextFile(GoldensFolder() / "text/chat_templates.json"));
  const std::tm now = NowOf(golden);
  size_t compared = 0, refused = 0;
  for (const ChatJson& entry : golden["templates"]) {
    const std::string name = entry["name"];
    SCOPED_TRACE(name);
    const ChatTemplate chat =
        ChatTemplate::Parse(entry["text"].get<std::string>(), name, golden["special"]);
    const ChatJson& conversations = golden["conversations"];
    for (size_t i = 0; i < conversations.size(); ++i) {
      const ChatJson& result = golden["results"][name][i];
      const std::string difference =
          Difference(chat, conversations[i], OptionsOf(conversations[i], now), result);
      EXPECT_TRUE(difference.empty())
          << difference << "\n"
          << name << " " << conversations[i]["name"] << " " << result.value("error", "");
      refused += result.contains("error") ? 1 : 0;
      ++compared;
    }
  }
  EXPECT_GE(golden["conversations"].size(), 60U);
  EXPECT_GE(compared, 8U * 60U);
  EXPECT_GT(refused, 20U);
}

TEST(ChatTemplate, ErrorsNameTheTemplateTheLineAndTheReason) {
  const std::pair<const char*, const char*> cases[] = {
      {"a\n{{ raise_exception('roles must alternate') }}", "roles must alternate at t.jinja:2"},
      {"\n\n{{ x.y }}", "'x' is undefined at t.jinja:3"},
      {"{{ messages[0].tools.name }}", "no attribute 'tools'"},
      {"{% include 'x' %}", "the tag 'include', which is not supported at t.jinja:1"},
      {"{% for x in y recursive %}{% endfor %}", "a recursive loop, which is not supported"},
      {"{{ 1 | urlize }}", "the filter 'urlize', which is not supported"},
      {"{{ 1 | nosuch }}", "the filter 'nosuch', which does not exist"},
      {"{{ 1 is nosuch }}", "the test 'nosuch', which does not exist"},
      {"{% if x %}", "a 'if' without its end 'endif'"},
      {"{{ 'abc }}", "a string without its end"},
      {"{{ (1] }}", "an unexpected ']' where ')' is open"},
      {"{% break %}", "a 'break' outside of a loop"},
      {"{{ 1 + 'a' }}", "an integer + a string"},
      {"{{ strftime_now('%Y') }}", "the date"},
      {"{{ messages.append(1) }}", "'append' of a list may not be used"},
      {"{{ messages.__class__.x }}", "'__class__' of a list may not be used"},
      {"{% set messages.x = 1 %}", "only namespaces"},
      {"{# never ends", "a comment without its end"},
      {"{{ 9223372036854775807 + 1 }}", "beyond 64 bits"},
      {"\xFF", "no UTF-8"},
  };
  for (const auto& [source, part] : cases) {
    const std::string error = RenderError(source);
    EXPECT_NE(error.find(part), std::string::npos) << source << "\n" << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(ChatTemplate, AnUnknownFilterInABranchThatIsNotTakenIsNoError) {
  EXPECT_EQ(Render("{% if false %}{{ 1 | nosuch }}{% endif %}ok"), "ok");
  EXPECT_NE(RenderError("{% if true %}{{ 1 | nosuch }}{% endif %}"), "");
}

TEST(ChatTemplate, HostileTemplatesEndInAnError) {
  const RenderOptions small{
      .limits = {.steps = 1'000'000, .memory_bytes = 1 << 20, .output_bytes = 1 << 16}};
  // NOLINTBEGIN(bugprone-suspicious-missing-comma): long ones are two literals
  const char* const cases[] = {
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% for a in range(99999) %}0123456789{% endfor %}",
      "{{ 'abc' * 1000000000 }}",
      "{{ [0] * 1000000000 }}",
      "{% set ns = namespace(x='a') %}{% for i in range(99) %}"
      "{% set ns.x = ns.x + ns.x %}{% endfor %}",
      "{% set ns = namespace(x=[]) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor "
      "%}{{ ns.x }}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
      "{% for i in range(9999999999) %}{% endfor %}",
      "{{ '%999999999d' % 1 }}",
      "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns.x }}",
      "{% for i in range(99999) %}{% set x = namespace(a=1) %}{% endfor %}",
  };
  // NOLINTEND(bugprone-suspicious-missing-comma)
  for (const char* source : cases) EXPECT_NE(RenderError(source, small), "") << source;
  // a template that nests without end is refused when it is parsed
  for (const std::string& open : {std::string("("), std::string("["), std::string("{1:"),
                                  std::string("not "), std::string("-"), std::string("f(")}) {
    std::string source = "{{ ";
    for (int i = 0; i < 100'000; ++i) source += open;
    EXPECT_NE(RenderError(source + " }}"), "") << open;
  }
  std::string chain = "{{ x";
  for (int i = 0; i < 100'000; ++i) chain += ".a";
  EXPECT_NE(RenderError(chain + " }}"), "");
  std::string blocks;
  for (int i = 0; i < 100'000; ++i) blocks += "{% if x %}";
  EXPECT_NE(RenderError(blocks), "");
}

TEST(ChatTemplate, ALoopsNamesEndWithItAndANamespacesStay) {
  EXPECT_EQ(
      Render("{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}"),
      "2 3 1");
  EXPECT_EQ(Render("{% set n = namespace(x=1) %}{% for i in [1, 2] %}{% set n.x = n.x + i %}{% "
                   "endfor %}{{ n.x }}"),
            "4");
  // assigned on some ways only: what the caller gave stays on the others
  EXPECT_EQ(Render("{% if false %}{% set k = 1 %}{% endif %}{{ k }}", {{"k", 7}}), "7");
  EXPECT_EQ(Render("{% macro f(a, b=a) %}{{ a }}{{ b }}{{ k }}{% endmacro %}{% set k = 3 %}{{ f(1) "
                   "}}{{ f(b=2, a=4) }}"),
            "113423");
}

TEST(ChatTemplate, GenerationRangesAreBytesOfTheText) {
  const ChatTemplate chat = ChatTemplate::Parse(
      "\xC3\x84{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}|{% endfor "
      "%}",
      "t");
  EXPECT_TRUE(chat.has_generation());
  const Rendered r = chat.Render(ChatJson::parse(R"([{"content": "ü"}, {"content": "ab"}])"));
  EXPECT_EQ(r.text, "\xC3\x84\xC3\xBC|ab|");
  EXPECT_EQ(r.assistant, (std::vector<std::pair<size_t, size_t>>{{2, 4}, {5, 7}}));
}

TEST(ChatTemplate, ManyThreadsRenderTheSameTemplate) {
  const ChatTemplate chat = ChatTemplate::Parse(
      "{% set n = namespace(t='') %}{% for m in messages * 50 %}{% set n.t = n.t ~ m.content ~ "
      "loop.index %}{% endfor %}{{ n.t }}",
      "t");
  const std::string expected = chat.Render(kHello).text;
  std::vector<std::string> texts(4);
  std::vector<std::thread> threads;
  for (std::string& text : texts) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) text = chat.Render(kHello).text;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) EXPECT_EQ(text, expected);
}

TEST(ChatTemplate, ErrorsAreOneLineWhateverTheyQuote) {
  const std::string error =
      UserErrorOf([] { ChatTemplate::Parse("{{ '\\Uab\n cd' }}", "test").Render(kHello); });
  EXPECT_NE(error.find("\\\\Uab\\n"), std::string::npos) << error;
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

TEST(LoadChatTemplate, TheFileComesBeforeTheConfigAndTokensAreVariables) {
  TempFolder folder;
  EXPECT_NE(UserErrorOf([&] { LoadChatTemplate(folder.path()); }).find("without a chat template"),
            std::string::npos);
  folder.Write("tokenizer_config.json",
               R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": null,
                   "extra_special_tokens": {"image_token": "<i>"},
                   "chat_template": "config {{ bos_token }}{{ eos_token }}{{ image_token }}{{ pad_token is defined }}"})");
  EXPECT_EQ(LoadChatTemplate(folder.path()).Render(kHello).text, "config <s></s><i>False");
  folder.Write("chat_template.jinja", "file {{ bos_token }}\n");
  EXPECT_EQ(LoadChatTemplate(folder.path()).Render(kHello).text, "file <s>");
  folder.Write("other.jinja", "other {{ eos_token }}");
  const auto other = FindChatTemplate(folder.path(), folder.path() / "other.jinja");
  EXPECT_EQ(other->Render(kHello).text, "other </s>");
}

TEST(LoadChatTemplate, OfNamedTemplatesToolsTakeTheirs) {
  TempFolder folder;
  folder.Write("tokenizer_config.json",
               R"({"chat_template": [{"name": "default", "template": "plain"},
                                     {"name": "tool_use", "template": "with {{ tools | length }}"}]})");
  const ChatTemplate chat = LoadChatTemplate(folder.path());
  EXPECT_EQ(chat.Render(kHello).text, "plain");
  const ChatJson tools = ChatJson::parse(R"([{"name": "f"}])");
  EXPECT_EQ(chat.Render(kHello, {.tools = &tools}).text, "with 1");
}

}  // namespace
}  // namespace pawl::text
