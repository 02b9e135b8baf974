#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "core/file.h"
#include "core/rng.h"
#include "text/packing.h"
#include "text/record_encoder.h"
#include "text/record_set.h"
#include "text/tokenizer.h"
#include "text/utf8.h"
#include "text_testing.h"

namespace pawl::text {
namespace {
namespace fs = std::filesystem;

constexpr const char* kSpecial[] = {"<|im_start|>", "<|im_end|>"};  // ids 256 and 257

// Bytes and two special tokens, with ChatML as its chat template; check_records.py makes the same.
TextCodec ChatMlCodec() {
  TextCodec codec;
  codec.end_text = kSpecial[1];
  codec.encode_with_offsets = [](std::string_view text) {
    TextCodec::Tokens tokens;
    int64_t character = 0;
    for (size_t at = 0; at < text.size();) {
      const bool start = text.substr(at).starts_with(kSpecial[0]);
      if (start || text.substr(at).starts_with(kSpecial[1])) {
        const std::string_view special = kSpecial[start ? 0 : 1];
        tokens.ids.push_back(start ? 256 : 257);
        tokens.offsets.push_back({character, character + static_cast<int64_t>(special.size())});
        character += static_cast<int64_t>(special.size());
        at += special.size();
        continue;
      }
      const size_t size = CodePointAt(text, at).size;
      for (size_t i = 0; i < size; ++i) {
        tokens.ids.push_back(static_cast<uint8_t>(text[at + i]));
        tokens.offsets.push_back({character, character + 1});
      }
      at += size;
      ++character;
    }
    return tokens;
  };
  codec.encode = [encode = codec.encode_with_offsets](std::string_view text, bool) {
    return encode(text).ids;
  };
  codec.render = [](const TextCodec::Chat& chat) {
    TextCodec::Rendered out;
    const auto characters = [&out] {
      int64_t count = 0;
      for (const char c : out.text) count += (c & 0xC0) != 0x80;
      return count;
    };
    for (const Json& message : chat.messages) {
      const auto role = message["role"].get<std::string>();
      out.text += fmt::format("{}{}\n", kSpecial[0], role);
      const int64_t begin = characters();
      out.text += message["content"].get<std::string>() + kSpecial[1] + "\n";
      if (role == "assistant") out.assistant.push_back({begin, characters() - 1});
    }
    if (chat.add_generation_prompt) out.text += fmt::format("{}assistant\n", kSpecial[0]);
    return out;
  };
  return codec;
}

class RecordsPeer : public testing::Test {
 protected:
  void SetUp() override {
    python_ = std::string(PAWL_SOURCE_DIR) + "/.venv-peers/bin/python";
    if (!fs::exists(python_) ||
        std::system((python_ + " -c 'import trl, datasets' 2>/dev/null").c_str()) != 0) {
      GTEST_SKIP() << "no trl and datasets in .venv-peers (bench/README.md)";
    }
  }
  // Runs check_records.py MODE FOLDER, which compares with TRL.
  void ExpectAgreement(const std::string& mode, const std::string& more = "") {
    const std::string command =
        fmt::format("'{}' '{}/tests/text/check_records.py' {} '{}' {} > '{}/out.txt' 2>&1", python_,
                    PAWL_SOURCE_DIR, mode, folder_.path().string(), more, folder_.path().string());
    EXPECT_EQ(std::system(command.c_str()), 0) << core::ReadTextFile(folder_.path() / "out.txt");
  }
  void WriteRecords(const std::string& name, const RecordSet& set) {
    std::ofstream out(folder_.path() / name);
    for (int64_t i = 0; i < set.size(0, Side::kTrain); ++i) {
      Record record;
      ASSERT_TRUE(set.Read(0, Side::kTrain, i, record));
      out << Json({{"prompt", record.prompt},
                   {"chosen", record.chosen},
                   {"rejected", record.rejected},
                   {"conversational", record.conversational}})
                 .dump()
          << "\n";
    }
  }
  // Our ids and labels of a file of records, beside TRL's.
  void ExpectSameExamples(const std::string& lines, const SequenceOptions& options,
                          const std::string& settings) {
    const RecordSet set({folder_.Write("records.jsonl", lines)}, "records", {});
    std::ofstream out(folder_.path() / "ours.jsonl");
    const TextCodec codec = ChatMlCodec();
    for (int64_t i = 0; i < set.size(0, Side::kTrain); ++i) {
      Record record;
      ASSERT_TRUE(set.Read(0, Side::kTrain, i, record));
      Sequence sequence = EncodeSequence(record, codec, options);
      if (!IsKept(FitSequence(sequence, options))) continue;
      Json labels = Json::array();
      for (size_t at = 0; at < sequence.tokens.size(); ++at)
        labels.push_back(sequence.is_target[at] != 0 ? sequence.tokens[at] : -100);
      out << Json({{"input_ids", sequence.tokens}, {"labels", labels}}).dump() << "\n";
    }
    out.close();
    WriteTokenizer(MakeByteTokenizer(), folder_.path(), 10'000);
    ExpectAgreement("sft", settings);
  }

  std::string python_;
  TempFolder folder_;
};

TEST_F(RecordsPeer, PromptsOfPreferencesAgree) {
  // random pairs over few characters, so that common beginnings of every length come up
  core::Philox rng(1, core::Role::kTest, 0, 0);
  const std::vector<std::string> letters = {"a",        "b",        " ",
                                            "\xC3\xA4", "\xC3\xB6", "\xF0\x9F\x98\x80"};
  const auto random = [&] {
    std::string text = "x";  // a first difference at 0 wraps round in TRL
    for (uint32_t left = rng.Below(8); left > 0; --left)
      text += letters[rng.Below(rng.Below(2) != 0 ? 2 : 6)];
    return text;
  };
  std::string lines;
  for (int i = 0; i < 3000; ++i)
    lines += Json({{"chosen", random()}, {"rejected", random()}}).dump() + "\n";
  const auto chat = [&] {
    Json messages = Json::array();
    for (uint32_t left = 1 + rng.Below(4); left > 0; --left)
      messages.push_back({{"role", rng.Below(4) != 0 ? "user" : "assistant"},
                          {"content", rng.Below(3) != 0 ? "a" : "b"}});
    return messages;
  };
  for (int i = 0; i < 1000; ++i)
    lines += Json({{"chosen", chat()}, {"rejected", chat()}}).dump() + "\n";
  WriteRecords("ours.jsonl", RecordSet({folder_.Write("pairs.jsonl", lines)}, "pairs", {}));
  ExpectAgreement("prompts", folder_.path() / "pairs.jsonl");
}

TEST_F(RecordsPeer, PromptsOfHhAgree) {
  for (fs::path root = PAWL_SOURCE_DIR; root != root.parent_path(); root = root.parent_path()) {
    const fs::path hh = root / "shared/data/prefs/hh-rlhf/harmless-base_test.jsonl.gz";
    if (!fs::exists(hh)) continue;
    WriteRecords("ours.jsonl", RecordSet({hh.string()}, "hh", {}));
    return ExpectAgreement("prompts", hh.string());
  }
  GTEST_SKIP() << "no shared/data beside the repository";
}

TEST_F(RecordsPeer, PackingAgrees) {
  core::Philox rng(2, core::Role::kTest, 0, 0);
  Json cases = Json::array();
  for (int i = 0; i < 60; ++i) {
    const int64_t capacity = 1 + rng.Below(64);
    std::vector<int64_t> lengths(1 + rng.Below(200));
    for (int64_t& length : lengths) length = rng.Below(static_cast<uint32_t>(capacity) + 1);
    Json rows = Json::array();
    for (const auto& row : PackBestFit(lengths, capacity)) rows.push_back(row);
    if (!rows.empty())
      cases.push_back({{"capacity", capacity}, {"lengths", lengths}, {"rows", rows}});
  }
  folder_.Write("ours.json", cases.dump());
  ExpectAgreement("packing");
}

TEST_F(RecordsPeer, SupervisedExamplesAndMasksAgree) {
  const std::string text =
      "{\"text\": \"plain \xC3\xA4 text\"}\n{\"text\": \"ended<|im_end|>\"}\n{\"text\": \"\"}\n"
      "{\"text\": \"a longer one that is cut somewhere in here\"}\n";
  const std::string pairs =
      "{\"prompt\": \"2+2=\", \"completion\": \"4\"}\n"
      "{\"prompt\": \"a prompt that fills all of the room there is\", \"completion\": \"x\"}\n"
      "{\"prompt\": \"\", \"completion\": \"no prompt\"}\n"
      "{\"prompt\": \"p\", \"completion\": \"c<|im_end|>\"}\n";
  const std::string turns =
      R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "naïve 😀?"},
          {"role": "assistant", "content": "ä 😀"}, {"role": "user", "content": "and?"},
          {"role": "assistant", "content": "so"}])";
  std::string one_line;
  for (const char c : turns) one_line += c == '\n' ? ' ' : c;
  const std::string chat = "{\"messages\": " + one_line + "}\n";
  const std::string chat_pairs =
      R"({"prompt": [{"role": "user", "content": "q ä"}], "completion": [{"role": "assistant", "content": "😀 yes"}]})"
      "\n"
      R"({"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}], "completion": [{"role": "assistant", "content": ""}]})"
      "\n";
  for (const int64_t longest : {1000, 24, 9}) {
    for (const LossOn loss_on : {LossOn::kCompletion, LossOn::kAll, LossOn::kAssistant}) {
      const SequenceOptions options{.loss_on = loss_on, .max_tokens = longest};
      const std::string settings = fmt::format("{} {}", longest,
                                               loss_on == LossOn::kAll         ? "all"
                                               : loss_on == LossOn::kAssistant ? "assistant"
                                                                               : "completion");
      for (const std::string& lines : {text, pairs, chat, chat_pairs}) {
        const bool conversational = lines == chat || lines == chat_pairs;
        if (loss_on == LossOn::kAssistant && !conversational) continue;
        ExpectSameExamples(lines, options, settings);
        if (HasFailure()) FAIL() << settings << "\n" << lines;
      }
    }
  }
}

}  // namespace
}  // namespace pawl::text
