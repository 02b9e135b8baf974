#include "text/text_template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "text_testing.h"

namespace pawl::text {
namespace {
using Json = nlohmann::ordered_json;

TEST(TextTemplate, WritesTheColumnsOfARecord) {
  const TextTemplate made(
      "{{ question }} {% for c in choices %}{{ loop.index }}. {{ c }} {% endfor %}", "prompt");
  EXPECT_EQ(made.Render(Json::parse(R"({"question": "Ä?", "choices": ["x", "y"]})")),
            "Ä? 1. x 2. y ");
}

TEST(TextTemplate, ALineBreakAtTheEndStays) {
  const Json row = {{"q", "x"}};
  EXPECT_EQ(TextTemplate("{{ q }}\nAnswer:\n", "t").Render(row), "x\nAnswer:\n");
  EXPECT_EQ(TextTemplate("{{ q }}\n\n", "t").Render(row), "x\n\n");
  // but one behind a block belongs to the block, as everywhere
  EXPECT_EQ(TextTemplate("{% if q %}y{% endif %}\n", "t").Render(row), "y");
}

TEST(TextTemplate, WhatARecordDoesNotHaveIsAnErrorWithItsName) {
  const TextTemplate made("{{ question }}\n{{ anwser }}", "prompt");
  const Json row = {{"question", "q"}, {"answer", "a"}};
  const std::string error = UserErrorOf([&] { made.Render(row); });
  EXPECT_NE(error.find("anwser"), std::string::npos) << error;
  EXPECT_NE(error.find("prompt:2"), std::string::npos) << error;
  // asking whether it is there is no use of it
  EXPECT_EQ(TextTemplate("{% if b is defined %}{{ b }}{% endif %}-", "t").Render(row), "-");
}

}  // namespace
}  // namespace pawl::text
