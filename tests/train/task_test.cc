#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "tests/text/text_testing.h"
#include "train/task_items.h"
#include "train/task_runner.h"
#include "train_testing.h"

namespace pawl::train {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;

// Answers as the test says. Log-probabilities are of characters: `log_prob(before, token)`.
class ScriptedModel : public rlhf::LanguageModelLearner {
 public:
  ScriptedModel(const text::Tokenizer& tokenizer, int64_t positions)
      : LanguageModelLearner({.vocab = tokenizer.vocab_size(), .max_positions = positions}),
        tokenizer_(tokenizer) {}
  std::function<double(char, char)> log_prob = [](char, char) { return -std::log(2.0); };
  std::function<std::string(const std::string& prompt, uint64_t index)> answer;
  std::vector<std::string> prompts;
  nn::GenerateOptions asked;  // of the last answer
  int64_t scored = 0;

  void Score(const rollout::SequenceBatch& batch, const nn::TokenScores& scores) override {
    size_t target = 0;
    for (size_t t = 0; t < batch.tokens.size(); ++t) {
      if (batch.is_target[t] == 0) continue;
      const auto value = static_cast<float>(log_prob(At(batch.tokens[t - 1]), At(batch.tokens[t])));
      scores.log_prob[target] = value;
      scores.best_log_prob[target] = std::max(value, static_cast<float>(-std::log(2.0)));
      ++target;
      ++scored;
    }
  }
  std::vector<int32_t> Generate(std::span<const int32_t> prompt,
                                const nn::GenerateOptions& options) override {
    prompts.push_back(tokenizer_.Decode(prompt));
    asked = {.tokens = options.tokens, .temperature = options.temperature, .seed = options.seed};
    std::vector<int32_t> ids;
    for (const int32_t id : tokenizer_.Encode(answer(prompts.back(), options.index))) {
      if (static_cast<int64_t>(ids.size()) == options.tokens) break;
      ids.push_back(id);
      if (options.ends && options.ends(id)) break;
    }
    return ids;
  }
  algos::UpdateMetrics Update(const rollout::SequenceBatch&, int64_t, double) override {
    return {};
  }
  std::span<const float> Weights() const override { return {}; }
  void Save(core::ArrayMap&) const override {}
  void Load(const core::ArrayMap&) override {}
  void WriteModel(const std::filesystem::path&) const override {}

 private:
  char At(int32_t id) const { return static_cast<char>(id); }  // the byte tokenizer's
  const text::Tokenizer& tokenizer_;
};

class TaskTest : public testing::Test {
 protected:
  std::string Put(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return (folder_ / name).string();
  }
  // A task file of these lines over these items.
  TaskConfig Task(const std::string& toml, const std::string& items) {
    const std::string files = fmt::format("files = [\"{}\"]\n", Put("items.jsonl", items));
    return ReadTask(Put("quiz.toml", files + toml), {});
  }
  TaskResult Run(const TaskConfig& task) {
    outputs_.clear();
    return RunTask(task, {.learner = model_, .tokenizer = tokenizer_},
                   {.on_item = [&](const std::string& json) {
                     outputs_.push_back(nlohmann::json::parse(json));
                   }});
  }
  std::string ErrorOf(const std::function<void()>& run) {
    try {
      run();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TempFolder folder_;
  text::Tokenizer tokenizer_ = text::MakeByteTokenizer();
  ScriptedModel model_{tokenizer_, 64};
  std::vector<nlohmann::json> outputs_;
};

TEST_F(TaskTest, PerplexityCountsEveryTokenOnceButTheFirstOfAWindowWithoutContext) {
  const std::string file = Put("text.txt", std::string(100, 'x'));
  const struct {
    int64_t context, stride, counted;
  } cases[] = {{10, 0, 90},  {10, 10, 90}, {10, 5, 99}, {10, 1, 99},
               {64, 64, 98}, {0, 0, 98},   {7, 3, 99}};
  for (const auto& c : cases) {
    model_.scored = 0;
    const TaskResult result = Run(TextTask(file, c.context, c.stride));
    EXPECT_EQ(result.n, c.counted) << c.context << " " << c.stride;
    EXPECT_EQ(model_.scored, c.counted);
    ASSERT_THAT(result.metrics[0].name, "perplexity");
    EXPECT_NEAR(ValueOf(result.metrics[0]), 2, 1e-6);
    EXPECT_NEAR(ValueOf(result.metrics[1]), std::log(2.0), 1e-6);
    EXPECT_EQ(ValueOf(result.metrics[2]), 1);
    EXPECT_NEAR(ValueOf(result.metrics[3]), 1, 1e-6);  // a byte a token, a bit each
  }
  EXPECT_THAT(ErrorOf([&] { Run(TextTask(file, 65, 0)); }), HasSubstr("64 positions"));
  EXPECT_THAT(ErrorOf([&] { Run(TextTask(file, 8, 9)); }), HasSubstr("stride"));
  EXPECT_THAT(ErrorOf([&] { Run(TextTask(Put("one.txt", "x"), 0, 0)); }), HasSubstr("2 tokens"));
}

TEST_F(TaskTest, TokenAccuracyIsTheShareOfLikeliestTokens) {
  model_.log_prob = [](char, char token) { return token == 'y' ? -3.0 : -0.25; };
  const TaskResult result = Run(TextTask(Put("text.txt", "xxxyyxxxxxx"), 0, 0));
  EXPECT_NEAR(ValueOf(result.metrics[2]), 0.8, 1e-12);
  EXPECT_NEAR(ValueOf(result.metrics[1]), (8 * 0.25 + 2 * 3) / 10, 1e-6);
}

TEST_F(TaskTest, ChoiceTakesTheLikeliestAnswerBySumAndByCharacter) {
  // c is likely, b less so, a hardly; a longer answer costs more
  model_.log_prob = [](char, char token) {
    return token == 'c' ? -1.0 : token == 'b' ? -1.5 : -9.0;
  };
  const char* items = R"({"q": "x", "o": ["ccc", "b"], "a": 0}
{"q": "y", "o": ["ccc", "b"], "a": 1}
{"q": "z", "o": ["a", "b", "cc"], "a": 1}
)";
  const TaskResult result = Run(Task(R"(
kind = "choice"
prompt = "{{ q }}:"
delimiter = ""
choices_column = "o"
answer = "{{ a }}"
)",
                                     items));
  EXPECT_EQ(result.n, 3);
  EXPECT_THAT(result.metrics[0].items, ElementsAre(0, 1, 1));  // b: -1.5 against -3 and -2
  EXPECT_THAT(result.metrics[1].items, ElementsAre(1, 0, 0));  // c: -1 a character
  EXPECT_EQ(outputs_[2]["choices"], (std::vector<std::string>{"a", "b", "cc"}));
  EXPECT_NEAR(outputs_[2]["log_prob"][2], -2, 1e-6);
}

TEST_F(TaskTest, AnswersAreNamedByIndexLetterOrText) {
  const std::string common =
      "kind = \"choice\"\nprompt = \"{{ q }}\"\nchoices = [\"{{ o }}\", \"b\"]\n"
      "answer = \"{{ a }}\"\n";
  model_.log_prob = [](char, char token) { return token == 'b' ? -1.0 : -2.0; };
  const auto accuracy = [&](const std::string& form, const std::string& answer) {
    const std::string item = fmt::format(R"({{"q": "x", "o": "a", "a": {}}})", answer);
    return ValueOf(Run(Task(common + "answer_form = \"" + form + "\"\n", item)).metrics[0]);
  };
  EXPECT_EQ(accuracy("index", "1"), 1);
  EXPECT_EQ(accuracy("letter", "\"B\""), 1);
  EXPECT_EQ(accuracy("text", "\"b\""), 1);
  EXPECT_EQ(accuracy("text", "\"a\""), 0);
  const std::pair<const char*, const char*> none[] = {
      {"index", "2"}, {"letter", "\"b\""}, {"text", "\"c\""}};
  for (const auto& wrong : none) {
    const std::string error = ErrorOf([&] { accuracy(wrong.first, wrong.second); });
    EXPECT_THAT(error, HasSubstr("none of 2 choices"));
    EXPECT_THAT(error, HasSubstr("items.jsonl:1"));
  }
}

TEST_F(TaskTest, GeneratedAnswersAreCutExtractedAndJudged) {
  const struct {
    const char *keys, *answer, *output;
    bool right;
  } cases[] = {
      {"", "Paris", " Paris ", true},
      {"", "Paris", "paris", false},
      {"stop = [\"\\n\", \"##\"]", "Paris", "Paris\nand", true},
      {"stop = [\"\\n\", \"##\"]", "Paris", "Paris##", true},
      {"extract = [\"gsm8k\", \"last_number\"]", "1 + 1\n#### 2", "so it is 2.", true},
      {"extract = [\"gsm8k\", \"last_number\"]", "1 + 1\n#### 2", "2 #### 3", false},
      {"extract = [\"gsm8k\"]", "#### 2", "2", false},
      {"extract = [\"last_number\"]\njudge = \"number\"", "1,000.0", "about $1000", true},
      {"extract = [\"boxed\"]\njudge = \"latex\"", "\\frac12", "\\boxed{\\dfrac{1}{2}}", true},
      {"extract = [\"pattern\"]\npattern = \"[A-D]\"", "C", "A? No, C!", true},
      {"max_tokens = 3", "abc", "abcdef", true},
  };
  for (const auto& c : cases) {
    model_.answer = [&](const std::string&, uint64_t) { return c.output; };
    const nlohmann::json item = {{"q", "x"}, {"a", c.answer}};
    const TaskResult result = Run(Task(
        fmt::format("kind = \"generate\"\nprompt = \"{{{{ q }}}}\"\nanswer = \"{{{{ a }}}}\"\n{}\n",
                    c.keys),
        item.dump()));
    EXPECT_THAT(result.metrics[0].name, "exact_match");
    EXPECT_EQ(ValueOf(result.metrics[0]), c.right ? 1 : 0) << c.keys << ": " << c.output;
  }
}

TEST_F(TaskTest, ShotsAreTheFirstOthersAndTheModelSeesThem) {
  model_.answer = [](const std::string&, uint64_t) { return "y"; };
  Run(Task(R"(
kind = "generate"
prompt = "Q{{ q }}"
answer = "{{ q }}{{ q }}"
separator = "|"
shots = 2
)",
           "{\"q\": 1}\n{\"q\": 2}\n\n{\"q\": 3}\n"));
  EXPECT_THAT(model_.prompts, ElementsAre("Q2 22|Q3 33|Q1", "Q1 11|Q3 33|Q2", "Q1 11|Q2 22|Q3"));
  EXPECT_THAT(
      ErrorOf([&] {
        Run(Task("kind = \"generate\"\nprompt = \"p\"\nanswer = \"a\"\nshots = 1\n", "{\"q\": 1}"));
      }),
      HasSubstr("1 items for 1 shots"));
}

TEST_F(TaskTest, PassAtKIsOfAllSamples) {
  // of four samples the first and the last are right
  model_.answer = [](const std::string&, uint64_t index) {
    return index % 4 == 0 || index % 4 == 3 ? "yes" : "no";
  };
  const TaskResult result = Run(Task(R"(
kind = "generate"
prompt = "p"
answer = "yes"
samples = 4
temperature = 1
pass_at = [1, 2, 4]
)",
                                     "{}\n{}\n"));
  ASSERT_EQ(result.metrics.size(), 3u);
  EXPECT_THAT(result.metrics[1].name, "pass@2");
  EXPECT_NEAR(ValueOf(result.metrics[0]), 0.5, 1e-12);
  EXPECT_NEAR(ValueOf(result.metrics[1]), 1 - 1.0 / 6, 1e-12);
  EXPECT_EQ(ValueOf(result.metrics[2]), 1);
}

TEST_F(TaskTest, ProgramsAreRunByTheSandboxAloneAndWithinItsTime) {
  model_.answer = [](const std::string& prompt, uint64_t) {
    return prompt == "good" ? "exit 0" : prompt == "bad" ? "exit 1" : "sleep 60";
  };
  const std::string task = R"(
kind = "generate"
prompt = "{{ p }}"
judge = "program"
program = "# {{ p }}\n{{ completion }}"
sandbox_seconds = 0.3
)";
  const std::string items = "{\"p\": \"good\"}\n{\"p\": \"bad\"}\n{\"p\": \"slow\"}\n";
  const TaskResult result = Run(Task(task + "sandbox = [\"/bin/sh\"]\n", items));
  EXPECT_THAT(result.metrics[0].items, ElementsAre(1, 0, 0));
  EXPECT_THAT(result.metrics[0].name, "pass@1");
  EXPECT_TRUE(Run(Task(task, items)).metrics.empty());  // answers kept, not scored
  EXPECT_EQ(outputs_[0]["answers"][0]["answer"], "exit 0");
}

TEST_F(TaskTest, TheNoiseOfASampleDependsOnItsItemAndNumberAlone) {
  const std::string task = "kind = \"generate\"\nprompt = \"p\"\nanswer = \"a\"\ntemperature = 1\n";
  std::vector<uint64_t> indices;
  model_.answer = [&](const std::string&, uint64_t index) {
    indices.push_back(index);
    return "a";
  };
  Run(Task(task + "samples = 2\n", "{}\n{}\n"));
  const std::vector<uint64_t> two = indices;
  indices.clear();
  Run(Task(task + "samples = 3\n", "{}\n{}\n"));
  EXPECT_THAT(indices, ElementsAre(two[0], two[1], testing::_, two[2], two[3], testing::_));
  EXPECT_EQ(std::set<uint64_t>(indices.begin(), indices.end()).size(), 6u);
}

TEST_F(TaskTest, AnItemIsNoExampleForItselfWhereverExamplesComeFrom) {
  model_.answer = [](const std::string&, uint64_t) { return ""; };
  const std::string items = Put("items.jsonl", "{\"q\": \"1\"}\n{\"q\": \"2\"}\n{\"q\": \"3\"}\n");
  for (const std::string& files : {std::string(), "shots_files = [\"" + items + "\"]\n"}) {
    model_.prompts.clear();
    Run(
        Task("kind = \"generate\"\nprompt = \"{{ q }}?\"\nanswer = \"a\"\nshots = 2\n"
             "separator = \" \"\n" +
                 files,
             "{\"q\": \"1\"}\n{\"q\": \"2\"}\n{\"q\": \"3\"}\n"));
    EXPECT_THAT(model_.prompts, ElementsAre("2? a 3? a 1?", "1? a 3? a 2?", "1? a 2? a 3?"));
  }
}

TEST_F(TaskTest, AnAnswerInWordsIsFoundAmongChoicesWithSpaces) {
  const TaskResult result = Run(
      Task("kind = \"choice\"\nprompt = \"p\"\nanswer = \" yes\"\nchoices = [\" no\", \" yes\"]\n"
           "answer_form = \"text\"\n",
           "{}"));
  EXPECT_EQ(outputs_[0]["right"], 1);
}

TEST_F(TaskTest, WindowsThatLeaveTokensOutAreRefused) {
  const TaskConfig task = TextTask(Put("text.txt", std::string(200, 'x')), 0, 65);  // positions: 64
  EXPECT_THAT(ErrorOf([&] { Run(task); }), HasSubstr("leave nothing out"));
}

TEST_F(TaskTest, ByteOrderMarksAndCarriageReturnsAreNoText) {
  const TaskResult plain = Run(TextTask(Put("a.txt", "ab\ncd\n"), 0, 0));
  const TaskResult windows = Run(TextTask(Put("b.txt",
                                              "\xEF\xBB\xBF"
                                              "ab\r\ncd\r\n"),
                                          0, 0));
  EXPECT_EQ(plain.n, windows.n);
  EXPECT_EQ(plain.asked, windows.asked);
  EXPECT_NE(plain.asked, Run(TextTask(Put("a.txt", "ab\ncd\n"), 4, 2)).asked);
}

TEST_F(TaskTest, ItemsAreCheckedWithoutAModel) {
  const std::string generate = "kind = \"generate\"\nprompt = \"{{ q }}\"\nanswer = \"a\"\n";
  EXPECT_EQ(ErrorOf([&] { CheckItems(Task(generate, "{\"q\": 1}\n")); }), "");
  EXPECT_THAT(ErrorOf([&] { CheckItems(Task(generate, "{\"q\": 1}\n{}\n")); }),
              HasSubstr("items.jsonl:2"));
  EXPECT_THAT(
      ErrorOf([&] {
        CheckItems(Task(generate + "extract = [\"pattern\"]\npattern = \"(\"\n", "{\"q\": 1}"));
      }),
      HasSubstr("pattern"));
  EXPECT_THAT(ErrorOf([&] { CheckItems(TextTask("nowhere.txt", 0, 0)); }), HasSubstr("nowhere"));
}

TEST_F(TaskTest, LongPromptsAreCutFromTheLeftAndCounted) {
  model_.answer = [](const std::string&, uint64_t) { return ""; };
  const nlohmann::json item = {{"q", std::string(100, 'x') + "end"}};
  const TaskResult result = Run(Task(
      "kind = \"generate\"\nprompt = \"{{ q }}\"\nanswer = \"a\"\nmax_tokens = 10\n", item.dump()));
  EXPECT_EQ(model_.prompts[0].size(), 54u);
  EXPECT_THAT(model_.prompts[0], testing::EndsWith("end"));
  EXPECT_THAT(result.notes, ElementsAre(HasSubstr("1 prompt cut")));
}

TEST_F(TaskTest, WhatIsWrongIsToldInOneLine) {
  const std::string generate = "kind = \"generate\"\n";
  const struct {
    std::string toml, items, part;
  } cases[] = {
      {generate, "{}", "no prompt"},
      {generate + "prompt = \"p\"", "{}", "no answer"},
      {generate + "prompt = \"{{ p }}\"\nanswer = \"a\"", "{}\n", "items.jsonl:1"},
      {generate + "prompt = \"{{ p\"\nanswer = \"a\"", "{}", "prompt:1"},
      {generate + "prompt = \"p\"\nanswer = \"a\"", "{}\n[1]\n", "items.jsonl:2"},
      {generate + "prompt = \"p\"\nanswer = \"a\"", "{}\n{\"a\"\n", "items.jsonl:2"},
      {generate + "prompt = \"p\"\nanswer = \"a\"", "\n", "no items"},
      {generate + "prompt = \"p\"\nanswer = \"a\"\nextract = [\"last\"]", "{}", "'last'"},
      {generate + "prompt = \"p\"\nanswer = \"a\"\nchat = true", "{}", "no chat template"},
      {generate + "prompt = \"p\"\nanswer = \"a\"\nsamples = 2", "{}", "temperature"},
      {generate + "prompt = \"p\"\nanswer = \"a\"\nstop = [\"\"]", "{}", "empty text in stop"},
      {generate + "promt = \"p\"", "{}", "promt"},
      {"kind = \"choice\"\nprompt = \"p\"\nanswer = \"0\"", "{}", "no choices"},
      {"kind = \"choice\"\nprompt = \"p\"\nanswer = \"0\"\nchoices_column = \"c\"",
       "{\"c\": [1, 2]}", "a list of texts"},
      {"kind = \"choice\"\nprompt = \"p\"\nanswer = \"0\"\nchoices_column = \"c.d\"", "{\"c\": {}}",
       "no column 'c.d'"},
  };
  model_.answer = [](const std::string&, uint64_t) { return ""; };
  for (const auto& c : cases) {
    const std::string error = ErrorOf([&] { Run(Task(c.toml + "\n", c.items)); });
    EXPECT_THAT(error, HasSubstr(c.part)) << c.toml;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST_F(TaskTest, SamplingIsAsTheTaskSays) {
  model_.answer = [](const std::string&, uint64_t) { return "a"; };
  Run(
      Task("kind = \"generate\"\nprompt = \"p\"\nanswer = \"a\"\ntemperature = 0.5\nseed = 7\n"
           "max_tokens = 9\n",
           "{}"));
  EXPECT_EQ(model_.asked.temperature, 0.5);
  EXPECT_EQ(model_.asked.seed, 7u);
  EXPECT_EQ(model_.asked.tokens, 9);
}

TEST_F(TaskTest, BleuCountsTheBrevityOfTheAnswers) {
  model_.answer = [](const std::string& prompt, uint64_t) { return prompt; };
  const std::string task =
      "kind = \"generate\"\nprompt = \"{{ p }}\"\nanswer = \"{{ a }}\"\njudge = \"bleu\"\n";
  const auto bleu = [&](const std::string& answer, const std::string& reference) {
    const nlohmann::json item = {{"p", answer}, {"a", reference}};
    const TaskResult result = Run(Task(task, item.dump()));
    EXPECT_EQ(result.metrics[0].name, "bleu");
    return ValueOf(result.metrics[0]);
  };
  EXPECT_NEAR(bleu("a b c d e", "a b c d e"), 100, 1e-9);
  EXPECT_NEAR(bleu("a b c d", "a b c d e f g h"), 100 * std::exp(1 - 8.0 / 4), 1e-9);
  EXPECT_LT(bleu("a b c d e f g h", "a b c d"), 60);  // longer: the precisions alone
}

TEST_F(TaskTest, TheDelimiterAndSpacesOfThePromptBelongToTheChoice) {
  std::string scored;
  model_.log_prob = [&](char, char token) {
    scored += token;
    return -1.0;
  };
  const std::string choice = "kind = \"choice\"\nanswer = \"0\"\nchoices = [\"yes\", \"no\"]\n";
  Run(Task(choice + "prompt = \"Q:  \"\n", "{}"));  // the delimiter is a space
  EXPECT_EQ(scored, "   yes   no");
  scored.clear();
  Run(Task(choice + "prompt = \"Q:\"\ndelimiter = \"-\"\n", "{}"));
  EXPECT_EQ(scored, "-yes-no");
}

// A tokenizer with <s> before a text, <e> as its end and <x>; a chat template.
class SpecialTaskTest : public TaskTest {
 protected:
  SpecialTaskTest() {
    text::WriteSpecialTokenizer(folder_ / "", {"<x>"});
    Put("chat_template.jinja",
        "{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
        "{% if add_generation_prompt %}bot:{% endif %}");
    own_ = text::LoadTokenizer(folder_ / "");
    chat_ = text::FindChatTemplate(folder_ / "");
  }
  // The answer of the only item.
  std::string Answer(ScriptedModel& model, const std::string& toml, const std::string& item) {
    std::string answer;
    const TaskConfig task = Task("kind = \"generate\"\nanswer = \"a\"\n" + toml, item);
    RunTask(task, {.learner = model, .tokenizer = *own_, .chat = chat_.get()},
            {.on_item = [&](const std::string& json) {
              answer = nlohmann::json::parse(json)["answers"][0]["answer"];
            }});
    return answer;
  }
  std::unique_ptr<text::Tokenizer> own_;
  std::shared_ptr<const text::ChatTemplate> chat_;
};

TEST_F(SpecialTaskTest, AnAnswerEndsAtTheEndTokenOrASpecialStop) {
  ScriptedModel model(*own_, 64);
  model.answer = [](const std::string&, uint64_t) { return "one<x>two<e>three"; };
  EXPECT_EQ(Answer(model, "prompt = \"p\"\n", "{}"), "onetwo");
  EXPECT_EQ(Answer(model, "prompt = \"p\"\nstop = [\"<x>\"]\n", "{}"), "one");
}

TEST_F(SpecialTaskTest, PromptsBeginAsTheModelKnowsThem) {
  ScriptedModel model(*own_, 32);
  model.answer = [](const std::string&, uint64_t) { return ""; };
  Answer(model, "prompt = \"hello\"\n", "{}");
  EXPECT_EQ(model.prompts.back(), "<s>hello");
  Answer(model, "prompt = \"hello\"\nchat = true\n", "{}");
  EXPECT_EQ(model.prompts.back(), "<s>user:hello;bot:");
  const nlohmann::json item = {{"q", std::string(100, 'x') + "end"}};
  Answer(model, "prompt = \"{{ q }}\"\nmax_tokens = 10\n", item.dump());
  EXPECT_THAT(model.prompts.back(), testing::StartsWith("<s>xx"));
  EXPECT_THAT(model.prompts.back(), testing::EndsWith("xend"));
  EXPECT_EQ(own_->Encode(model.prompts.back()).size(), 22u);
}

TEST(ShippedTasks, AllAreReadAndTheirTemplatesParse) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(PAWL_SOURCE_DIR) + "/configs/tasks")) {
    const TaskConfig task = ReadTask(entry.path(), {});
    for (const std::string& text : {task.prompt, task.answer, task.program, task.text}) {
      EXPECT_NO_THROW(ItemTemplate(text, "a template")) << entry.path();
    }
    EXPECT_FALSE(task.kind == TaskKind::kGenerate && task.prompt.empty()) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 4);
}

TEST(TaskMetric, PairedItemsGiveANarrowerIntervalThanTwoAlone) {
  TaskMetric a{.name = "loss"}, b{.name = "loss"};
  for (int i = 0; i < 200; ++i) {
    a.items.push_back(i % 10);
    b.items.push_back(i % 10 + (i % 3 == 0 ? 0.5 : 0.4));
  }
  const MetricDifference difference = DifferenceOf(a, b, /*same_items=*/true);
  EXPECT_NEAR(difference.value, ValueOf(a) - ValueOf(b), 1e-12);
  ASSERT_TRUE(difference.ci95.has_value());
  const Interval alone = IntervalOf(a);
  EXPECT_LT(difference.ci95->high - difference.ci95->low, 0.1 * (alone.high - alone.low));
  EXPECT_LT(difference.ci95->high, -0.4);
  EXPECT_FALSE(DifferenceOf(a, b, /*same_items=*/false).ci95.has_value());
  b.items.pop_back();
  EXPECT_FALSE(DifferenceOf(a, b, true).ci95.has_value());
}

}  // namespace
}  // namespace pawl::train
