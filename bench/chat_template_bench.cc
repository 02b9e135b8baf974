// Renders conversations with chat templates, for bench/text.py: reads a JSON document of templates
// and conversations (FILE), prints microseconds per rendering as JSON. Values are made from the
// JSON in every rendering, as a program that holds conversations as JSON has to.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "text/chat_template.h"

int main(int argc, char** argv) {
  CLI::App app("chat template rendering");
  std::string file;
  double seconds = 0.2;
  app.add_option("file", file, "templates and conversations")->required();
  app.add_option("--seconds", seconds, "of each measurement");
  CLI11_PARSE(app, argc, argv);
  using Clock = std::chrono::steady_clock;
  using pawl::text::ChatJson;
  const ChatJson document = ChatJson::parse(pawl::core::ReadTextFile(file));
  ChatJson out = ChatJson::object();
  for (const ChatJson& entry : document["templates"]) {
    const auto chat = pawl::text::ChatTemplate::Parse(entry["text"].get<std::string>(),
                                                      entry["name"], document["variables"]);
    for (const ChatJson& conversation : document["conversations"]) {
      const auto tools = conversation.find("tools");
      pawl::text::RenderOptions options;
      options.tools = tools == conversation.end() ? nullptr : &*tools;
      options.add_generation_prompt = true;
      const ChatJson& messages = conversation["messages"];
      size_t bytes = chat.Render(messages, options).text.size();  // also warms
      int64_t count = 0;
      const auto begin = Clock::now();
      double passed = 0;
      while (passed < seconds) {
        for (int i = 0; i < 64; ++i) bytes = chat.Render(messages, options).text.size();
        count += 64;
        passed = std::chrono::duration<double>(Clock::now() - begin).count();
      }
      out[entry["name"]][conversation["name"]] = {
          {"microseconds", passed / static_cast<double>(count) * 1e6}, {"bytes", bytes}};
    }
  }
  std::puts(out.dump().c_str());
}
