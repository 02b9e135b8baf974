// A language model through the real program: trained, killed, resumed, evaluated, adapted.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "core/file.h"

namespace pawl {
namespace {
namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;
using Json = nlohmann::json;

constexpr int kUpdates = 30;

// A few thousand words of a language with a grammar.
std::string Sentences(int count, unsigned state) {
  const char* words[] = {"the", "cat", "dog", "sees", "runs", "a", "red", "old", "house", "far"};
  std::string text;
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < 5; ++j) {
      state = state * 1664525 + 1013904223;
      text += std::string(words[state >> 24 & 7 ? (state >> 16) % 10 : 0]) + (j < 4 ? " " : ".\n");
    }
  }
  return text;
}

// In memory where there is room: a SIGKILL loses nothing that the kernel has been given, and waits
// for a disk would be most of the time.
fs::path FastFolder() {
  std::error_code error;
  const auto space = fs::space("/dev/shm", error);
  const bool usable =
      !error && space.available >= uintmax_t{256} << 20 && access("/dev/shm", W_OK) == 0;
  return usable ? fs::path("/dev/shm") : fs::temp_directory_path();
}

class LanguageCli : public testing::Test {
 protected:
  LanguageCli() {
    std::string name = (FastFolder() / "pawl-language-XXXXXX").string();
    PAWL_CHECK(mkdtemp(name.data()) != nullptr, "no temporary folder");
    folder_ = name;
    Put("text.txt", Sentences(400, 1));
    Put("held_out.txt", Sentences(40, 2));
    const std::string common = fmt::format(R"(
seed = 3
total_updates = {}
[data]
files = ["text.txt"]
eval_files = ["held_out.txt"]
context = 24
[train]
sequences = 4
learning_rate = 1e-2
warmup_updates = 5
threads = 1
[eval]
every_updates = 6
batches = 3
[samples]
every_updates = 10
prompts = ["the "]
tokens = 30
[checkpoint]
every_updates = 2
)",
                                           kUpdates);
    Put("new.toml",
        "stage = \"pretrain\"" + common + "[model]\nwidth = 32\nlayers = 2\nheads = 2\n");
    Put("adapt.toml", "stage = \"sft\"" + common);
  }
  ~LanguageCli() override { fs::remove_all(folder_); }

  void Put(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  std::string Text(const std::string& path) const { return core::ReadTextFile(folder_ / path); }

  pid_t Start(const Arguments& arguments) const {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child != 0) return child;
    if (chdir(folder_.c_str()) != 0 || std::freopen("out.txt", "w", stdout) == nullptr ||
        std::freopen("err.txt", "w", stderr) == nullptr) {
      _exit(127);
    }
    std::vector<char*> argv = {const_cast<char*>(PAWL_BINARY)};
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(PAWL_BINARY, argv.data());
    _exit(127);
  }
  int Pawl(const Arguments& arguments) const {
    int status = 0;
    waitpid(Start(arguments), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  Json Evaluate(const Arguments& arguments) const {
    Arguments all = {"eval", "--json"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    EXPECT_EQ(Pawl(all), 0) << Text("err.txt");
    return Json::parse(Text("out.txt"));
  }
  double Loss(const Arguments& arguments) const {
    return Evaluate(arguments)["tasks"].front()["metrics"]["loss"]["value"];
  }

  int64_t NewestCommit(const std::string& run) const {
    int64_t newest = -1;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder_ / run / "checkpoints", error)) {
      const std::string name = entry.path().filename().string();
      const bool whole = name.starts_with("step_") && entry.path().extension().empty() &&
                         fs::exists(entry.path() / "COMMIT", error);
      if (whole) newest = std::max<int64_t>(newest, std::atoll(name.c_str() + 5));
    }
    return newest;
  }
  // Starts or resumes a run and kills it once it has saved `updates`. False: it was done before.
  bool KillAt(const std::string& run, Arguments train, int64_t updates) {
    if (fs::exists(folder_ / run / "config.toml")) train.push_back("--resume");
    const pid_t child = Start(train);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    int status = 0;
    while (NewestCommit(run) < updates) {
      if (waitpid(child, &status, WNOHANG) == child) {
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << Text("err.txt");
        return false;
      }
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "nothing was saved within two minutes";
        break;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return WIFSIGNALED(status);
  }

  // Every line without its times and speeds.
  std::vector<Json> Metrics(const std::string& run) const {
    std::vector<Json> rows;
    std::ifstream in(folder_ / run / "metrics.jsonl");
    for (std::string line; std::getline(in, line);) rows.push_back(WithoutTimes(Json::parse(line)));
    return rows;
  }
  static Json WithoutTimes(Json json) {
    for (auto it = json.begin(); it != json.end();) {
      const std::string& key = it.key();
      const bool time = key.ends_with("_s") || key.ends_with("_bytes") || key == "mfu";
      it = time ? json.erase(it) : std::next(it);
    }
    return json;
  }
  // All files of a folder, by relative path.
  std::map<std::string, std::string> Files(const std::string& path) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / path)) {
      if (entry.is_regular_file())
        files[fs::relative(entry.path(), folder_ / path)] = core::ReadTextFile(entry.path());
    }
    return files;
  }
  void ExpectSame(const std::string& run, const std::string& reference) const {
    const auto metrics = Metrics(reference);
    ASSERT_EQ(metrics.size(), static_cast<size_t>(kUpdates));
    EXPECT_EQ(Metrics(run), metrics);
    EXPECT_EQ(Text(run + "/samples.jsonl"), Text(reference + "/samples.jsonl"));
    EXPECT_EQ(WithoutTimes(Json::parse(Text(run + "/summary.json"))),
              WithoutTimes(Json::parse(Text(reference + "/summary.json"))));
    for (const char* folder : {"/model", "/best_model"}) {
      const bool there = fs::exists(folder_ / (reference + folder));
      ASSERT_EQ(fs::exists(folder_ / (run + folder)), there) << folder;
      if (!there) continue;
      const auto expected = Files(reference + folder), found = Files(run + folder);
      EXPECT_GE(expected.size(), 4u);
      EXPECT_EQ(found, expected) << folder;
    }
  }

  // A reference run, one that is killed twice and resumed, and both must end alike.
  void ExpectKilledRunsEndAlike(const Arguments& train) {
    const auto with_run = [&](const std::string& run) {
      Arguments all = train;
      all.insert(all.end(), {"--run", run});
      return all;
    };
    ASSERT_EQ(Pawl(with_run("reference")), 0) << Text("err.txt");
    int kills = 0;
    // a machine that is busy may look only when the run is done: then another one
    for (int attempt = 0; attempt < 5 && kills < 2; ++attempt) {
      const std::string run = fmt::format("killed{}", attempt);
      kills = 0;
      for (const int64_t updates : {kUpdates / 6, kUpdates / 2})
        kills += KillAt(run, with_run(run), updates);
      Arguments resume = with_run(run);
      resume.push_back("--resume");
      ASSERT_EQ(Pawl(resume), 0) << Text("err.txt");
      ExpectSame(run, "reference");
    }
    EXPECT_EQ(kills, 2);
    // the end's loss is that of the folder and of the run
    const double loss = Json::parse(Text("reference/summary.json"))["eval_loss"];
    EXPECT_LT(loss, Metrics("reference").front()["loss"].get<double>() - 0.1);
    EXPECT_NEAR(Loss({"killed0"}), loss, 1e-9);
  }

  fs::path folder_;
};

TEST_F(LanguageCli, KilledAndResumedInFloat32TheFilesAreThoseOfAnUndisturbedRun) {
  ExpectKilledRunsEndAlike({"train", "new.toml", "--set", "data.tokenizer=char"});
  const double loss = Json::parse(Text("reference/summary.json"))["eval_loss"];
  const Arguments model = {"killed0/model", "--data", "held_out.txt", "--context", "24"};
  EXPECT_NEAR(Loss(model), loss, 1e-9);
  EXPECT_EQ(Pawl({"train", "adapt.toml", "--set", "data.tokenizer=model", "--set",
                  "model.path=reference/model", "--set", "data.context=25", "--run", "long"}),
            2);
  EXPECT_NE(Text("err.txt").find("at data.context: expected at most 24"), std::string::npos)
      << Text("err.txt");
  EXPECT_FALSE(fs::exists(folder_ / "long"));
  for (const char* path : {"killed0", "killed0/model"}) {
    EXPECT_EQ(Pawl({"eval", path, "--data", "held_out.txt", "--context", "400"}), 2) << path;
    EXPECT_NE(Text("err.txt").find("at --context: expected at most 24"), std::string::npos)
        << Text("err.txt");
  }
}

TEST_F(LanguageCli, KilledAndResumedInBfloat16TheFilesAreThoseOfAnUndisturbedRun) {
  ExpectKilledRunsEndAlike({"train", "new.toml", "--set", "data.tokenizer=byte", "--set",
                            "train.dtype=bfloat16", "--set", "model.dtype=bfloat16"});
  EXPECT_NE(Text("reference/model/config.json").find("bfloat16"), std::string::npos);
}

TEST_F(LanguageCli, AnAdapterTooAndItIsEvaluatedOnItsBaseWhichMustBeThere) {
  ASSERT_EQ(Pawl({"train", "new.toml", "--set", "data.tokenizer=char", "--run", "base", "--set",
                  "total_updates=4", "--set", "samples.every_updates=0"}),
            0)
      << Text("err.txt");
  ExpectKilledRunsEndAlike({"train", "adapt.toml", "--set", "data.tokenizer=model", "--set",
                            "model.path=base/model", "--set", "lora.rank=4", "--set",
                            "lora.alpha=32"});
  ASSERT_TRUE(fs::exists(folder_ / "reference/model/adapter_model.safetensors"));
  const double loss = Json::parse(Text("reference/summary.json"))["eval_loss"];
  const auto evaluate = [&](const char* path) -> double {
    return Loss({path, "--data", "held_out.txt", "--context", "24"});
  };
  EXPECT_NEAR(evaluate("reference/model"), loss, 1e-9);
  EXPECT_GT(evaluate("base/model"), loss + 0.1);
  fs::rename(folder_ / "base", folder_ / "elsewhere");
  EXPECT_EQ(Pawl({"eval", "reference/model", "--data", "held_out.txt"}), 2);
  const std::string error = Text("err.txt");
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
  for (const char* part : {"base/model", "no model folder here", "base_model_name_or_path"})
    EXPECT_NE(error.find(part), std::string::npos) << part << " not in: " << error;
}

TEST_F(LanguageCli, TasksAreRunComparedAndKept) {
  ASSERT_EQ(Pawl({"train", "new.toml", "--set", "data.tokenizer=byte", "--run", "run"}), 0)
      << Text("err.txt");
  Put("quiz.toml", R"(
kind = "choice"
files = ["quiz.jsonl"]
prompt = "{{ q }}"
choices = ["{{ a }}", "{{ b }}"]
answer = "0"
)");
  // words of the language against others
  std::string items;
  for (const char* other : {"xq", "zzz", "%$", "QQQ", "vvv"})
    items += fmt::format("{{\"q\": \"the\", \"a\": \"cat\", \"b\": \"{}\"}}\n", other);
  Put("quiz.jsonl", items);
  Put("write.toml", R"(
kind = "generate"
files = ["quiz.jsonl"]
prompt = "{{ q }}"
answer = "cat"
max_tokens = 8
)");
  const Json result =
      Evaluate({"run", "--task", "quiz.toml", "--task", "write.toml", "--set", "limit=4", "--text",
                "held_out.txt", "--stride", "8", "--against", "run/model", "--outputs", "answers"});
  const Json& tasks = result["tasks"];
  EXPECT_EQ(tasks["quiz"]["metric"], "accuracy");
  EXPECT_EQ(tasks["quiz"]["n"], 4);
  EXPECT_EQ(tasks["quiz"]["value"], 1);
  EXPECT_LT(tasks["quiz"]["ci95"][0], 1);
  EXPECT_EQ(tasks["quiz"]["metrics"]["accuracy_normalized"]["value"], 1);
  EXPECT_EQ(tasks["write"]["metric"], "exact_match");
  EXPECT_EQ(tasks["held_out"]["n"], fs::file_size(folder_ / "held_out.txt") - 1);
  EXPECT_EQ(tasks["held_out"]["difference"]["value"], 0);  // the run's end is its model
  EXPECT_EQ(tasks["held_out"]["difference"]["ci95"][1], 0);
  EXPECT_EQ(Json::parse(Text("run/evaluations.jsonl")), result);
  std::istringstream answers(Text("answers/write.jsonl"));
  int lines = 0;
  for (std::string line; std::getline(answers, line); ++lines)
    EXPECT_LE(Json::parse(line)["answers"][0]["answer"].get<std::string>().size(), 8u);
  EXPECT_EQ(lines, 4);
  EXPECT_FALSE(fs::exists(folder_ / "answers/write.jsonl.part"));
  // another model: MODEL minus OTHER, its answers are not kept
  ASSERT_EQ(Pawl({"train", "new.toml", "--set", "data.tokenizer=byte", "--run", "early", "--set",
                  "total_updates=4"}),
            0);
  const auto value = [&](const char* model) -> double {
    return Evaluate({model, "--text", "held_out.txt"})["tasks"]["held_out"]["value"];
  };
  const double mine = value("run"), its = value("early");
  EXPECT_LT(mine, its - 1);
  const Json two = Evaluate({"run", "--text", "held_out.txt", "--against", "early"})["tasks"];
  EXPECT_NEAR(two["held_out"]["difference"]["value"].get<double>(), mine - its, 1e-9);
  EXPECT_LT(two["held_out"]["difference"]["ci95"][1], 0);
  EXPECT_NEAR(two["held_out"]["against"]["value"].get<double>(), its, 1e-9);
  Put("other.txt", Sentences(39, 9) + "x");  // as many windows of other text
  const Json apart =
      Evaluate({"run", "--against", "early", "--context", "20"})["tasks"]["held_out"];
  EXPECT_TRUE(apart["difference"]["ci95"].is_array());  // one hold-out, one context
  // a task that fails leaves the answers of the one before
  const std::string before = Text("answers/write.jsonl");
  Put("write.toml", Text("write.toml") + "chat = true\n");
  EXPECT_EQ(Pawl({"eval", "run", "--task", "write.toml", "--outputs", "answers"}), 2);
  EXPECT_EQ(Text("answers/write.jsonl"), before);
  // what would do nothing is refused, and before any work
  Put("code.toml",
      "kind = \"generate\"\nfiles = [\"quiz.jsonl\"]\nprompt = \"{{ q }}\"\n"
      "judge = \"program\"\nprogram = \"{{ completion }}\"\n");
  const struct {
    Arguments more;
    const char* part;
  } wrong[] = {
      {{"--stride", "4"}, "--stride"},
      {{"--set", "limit=1"}, "--set"},
      {{"--outputs", "o"}, "--outputs"},
      {{"--task", "quiz.toml", "--context", "8"}, "--context"},
      {{"--text", "held_out.txt", "--stride", "100"}, "leave nothing out"},
      {{"--task", "quiz.toml", "--against", "nowhere"}, "no language model"},
      {{"--task", "code.toml"}, "without a sandbox"},
      {{"--task", "code.toml", "--outputs", "o", "--against", "run"}, "without a sandbox"}};
  for (const auto& [more, part] : wrong) {
    Arguments all = {"eval", "run"};
    all.insert(all.end(), more.begin(), more.end());
    EXPECT_EQ(Pawl(all), 2) << part;
    EXPECT_NE(Text("err.txt").find(part), std::string::npos) << Text("err.txt");
  }
  EXPECT_FALSE(fs::exists(folder_ / "o"));
  // a wrong task is told before the model is read
  Put("quiz.toml", "kind = \"choice\"\nfiles = [\"quiz.jsonl\"]\n");
  EXPECT_EQ(Pawl({"eval", "run", "--task", "quiz.toml"}), 2);
  EXPECT_NE(Text("err.txt").find("no prompt at quiz.toml"), std::string::npos) << Text("err.txt");
}

TEST_F(LanguageCli, ATokenizerIsTrainedAndUsed) {
  Put("long.txt", Sentences(400, 5));
  ASSERT_EQ(Pawl({"tokenizer", "train", "long.txt", "--out", "tok", "--vocab", "280", "--special",
                  "<|endoftext|>"}),
            0)
      << Text("err.txt");
  ASSERT_EQ(Pawl({"tokenizer", "inspect", "tok", "--json"}), 0) << Text("err.txt");
  const Json parts = Json::parse(Text("out.txt"));
  EXPECT_EQ(parts["ids"], 280);
  EXPECT_EQ(parts["eos"], "<|endoftext|>");
  EXPECT_EQ(parts["pre_tokenizer"], "ByteLevel");
  ASSERT_EQ(Pawl({"tokenizer", "encode", "tok", "the cat<|endoftext|>", "--json"}), 0)
      << Text("err.txt");
  const Json encoded = Json::parse(Text("out.txt"));
  EXPECT_LT(encoded["ids"].size(), 7u);  // words became tokens
  EXPECT_EQ(encoded["ids"].back(), 0);
  EXPECT_EQ(encoded["offsets"].back(), (std::vector<int>{7, 20}));
  // a new model learns with it, and keeps it
  const Arguments train = {
      "train", "new.toml", "--set", "data.tokenizer=model", "--set", "data.tokenizer_path=tok",
      "--run", "run"};
  ASSERT_EQ(Pawl(train), 0) << Text("err.txt");
  EXPECT_EQ(Text("run/model/tokenizer.json"), Text("tok/tokenizer.json"));
  EXPECT_EQ(Json::parse(Text("run/model/config.json"))["vocab_size"], 280);
  EXPECT_NEAR(Loss({"run/model", "--data", "held_out.txt", "--context", "24"}),
              Json::parse(Text("run/summary.json"))["eval_loss"].get<double>(), 1e-9);
  // a folder that has one is not written over
  EXPECT_EQ(Pawl({"tokenizer", "train", "held_out.txt", "--out", "tok", "--vocab", "280"}), 2);
  EXPECT_NE(Text("err.txt").find("'tok' holds a tokenizer.json already at --out"),
            std::string::npos)
      << Text("err.txt");
  // another one in its place is no resume
  fs::remove_all(folder_ / "tok");
  ASSERT_EQ(Pawl({"tokenizer", "train", "held_out.txt", "--out", "tok", "--vocab", "280"}), 0);
  Arguments resume = train;
  resume.insert(resume.end(), {"--resume", "--set", "total_updates=40"});
  EXPECT_EQ(Pawl(resume), 2);
  EXPECT_NE(Text("err.txt").find("its tokenizer.json is not what it was"), std::string::npos)
      << Text("err.txt");
  EXPECT_EQ(Pawl({"tokenizer", "encode", "tok"}), 2);
  EXPECT_EQ(Pawl({"tokenizer", "inspect", "nowhere"}), 2);
  EXPECT_EQ(Pawl({"tokenizer", "train", "long.txt", "--out", "t", "--vocab", "10"}), 2);
}

TEST_F(LanguageCli, DataIsInspected) {
  Put("d.jsonl",
      "{\"q\": \"one two\", \"a\": \"three\"}\n{\"q\": 1}\n\n{\"q\": \"four\", \"a\": \"five "
      "six\"}\n");
  const Arguments inspect = {"data",
                             "inspect",
                             "d.jsonl",
                             "--tokenizer",
                             "byte",
                             "--set",
                             "columns.prompt=q",
                             "--set",
                             "data.columns.completion=a",
                             "--json"};
  EXPECT_EQ(Pawl(inspect), 1) << Text("err.txt");  // there is a bad line
  const Json report = Json::parse(Text("out.txt"));
  EXPECT_EQ(report["kind"], "prompt_completion") << report;
  EXPECT_EQ(report["records"], 2);
  EXPECT_EQ(report["bad_lines"], 1);
  EXPECT_EQ(report["empty_lines"], 1);
  EXPECT_EQ(report["tokens"]["max"], 13);         // "one twothree" and a line break
  EXPECT_EQ(report["learned_tokens"]["max"], 9);  // "five six" and a line break
  Put("lines.txt", "a=>b\nc=>d\nno\n");
  ASSERT_EQ(Pawl({"data", "inspect", "lines.txt", "--tokenizer", "byte", "--set", "format=lines",
                  "--set", "separator==>", "--json"}),
            1);
  const Json lines = Json::parse(Text("out.txt"));
  EXPECT_EQ(lines["records"], 2);
  EXPECT_EQ(lines["bad_lines"], 1);
  EXPECT_EQ(lines["learned_tokens"]["max"], 2);
}

TEST_F(LanguageCli, AChatTemplateOfOnesOwnIsLearnedAndKept) {
  std::string chats;
  for (int i = 0; i < 60; ++i) {
    const Json chat = {{"messages", Json::array({{{"role", "user"}, {"content", "the cat"}},
                                                 {{"role", "bot"}, {"content", "sees"}}})}};
    chats += chat.dump() + "\n";
  }
  Put("chats.jsonl", chats);
  Put("own.jinja", "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}");
  ASSERT_EQ(Pawl({"tokenizer", "train", "text.txt", "--out", "tok", "--kind", "byte"}), 0);
  Arguments train = {"train", "new.toml", "--run", "run"};
  for (const char* setting : {"data.tokenizer=model", "data.tokenizer_path=tok",
                              "data.files=[\"chats.jsonl\"]", "data.eval_files=[\"chats.jsonl\"]"})
    train.insert(train.end(), {"--set", setting});
  EXPECT_EQ(Pawl(train), 2);
  EXPECT_NE(Text("err.txt").find("data.chat_template"), std::string::npos) << Text("err.txt");
  train.insert(train.end(), {"--set", "data.chat_template=own.jinja", "--set", "data.eos_token=;",
                             "--set", "model.positions=48"});
  ASSERT_EQ(Pawl(train), 0) << Text("err.txt");
  EXPECT_EQ(Text("run/model/chat_template.jinja"), Text("own.jinja"));
  EXPECT_EQ(Json::parse(Text("run/model/tokenizer_config.json"))["eos_token"], ";");
  const Json config = Json::parse(Text("run/model/config.json"));
  EXPECT_EQ(config["eos_token_id"], ';');
  EXPECT_EQ(config["max_position_embeddings"], 48);
  const double loss = Json::parse(Text("run/summary.json"))["eval_loss"];
  for (const char* path : {"run", "run/model"})
    EXPECT_NEAR(Loss({path, "--data", "chats.jsonl", "--context", "24"}), loss, 1e-9) << path;
  Put("own.jinja", "another");
  train.insert(train.end(), {"--resume", "--set", "total_updates=40"});
  EXPECT_EQ(Pawl(train), 2);
  EXPECT_NE(Text("err.txt").find("its chat_template.jinja is not what it was"), std::string::npos)
      << Text("err.txt");
}

}  // namespace
}  // namespace pawl
