#include <gtest/gtest.h>

#include <cstdlib>

#include "core/file.h"
#include "text/text_dataset.h"
#include "text_testing.h"

namespace pawl::text {
namespace {
namespace fs = std::filesystem;

// Python's tokenizers and transformers load what we write and give the same ids and text. Their
// environment is made by bench/peers.
class TokenizerPeer : public testing::Test {
 protected:
  void SetUp() override {
    python_ = std::string(PAWL_SOURCE_DIR) + "/.venv-peers/bin/python";
    if (!fs::exists(python_) ||
        std::system((python_ + " -c 'import tokenizers, transformers' 2>/dev/null").c_str()) != 0) {
      GTEST_SKIP() << "no tokenizers and transformers in .venv-peers (bench/README.md)";
    }
  }

  // The ids that we give for `text` beside those of the packages; "" where they agree.
  void ExpectAgreement(const Tokenizer& tokenizer, const std::string& text) {
    WriteTokenizer(tokenizer, folder_.path(), 64);
    folder_.Write("text.txt", text);
    std::string ids;
    for (const int32_t id : tokenizer.Encode(text)) ids += std::to_string(id) + " ";
    folder_.Write("ids.txt", ids);
    folder_.Write("decoded.txt", tokenizer.Decode(tokenizer.Encode(text)));
    const std::string command =
        fmt::format("'{}' '{}/tests/text/check_tokenizer.py' '{}' > '{}/out.txt' 2>&1", python_,
                    PAWL_SOURCE_DIR, folder_.path().string(), folder_.path().string());
    EXPECT_EQ(std::system(command.c_str()), 0) << core::ReadTextFile(folder_.path() / "out.txt");
  }

  std::string python_;
  TempFolder folder_;
};

constexpr const char* kSamples =
    "Plain text, \"quoted\" \\ back\n\ttabs  and   spaces \n\n"
    "\xC3\x84rger stra\xC3\x9F"
    "e \xE2\x82\xAC 42 na\xC3\xAFve e\xCC\x81 \xE6\xBC\xA2\xE5\xAD\x97 "
    "\xF0\x9F\x98\x80\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB \xD8\xB9\xD8\xB1\xD8\xA8\xD9\x8A "
    "\x01\x7F \xEF\xBF\xBD end ";

// The text of the README's example, where somebody has put it; "" else.
std::string Shakespeare() {
  for (fs::path root = PAWL_SOURCE_DIR;; root = root.parent_path()) {
    for (const char* name :
         {"data/shakespeare.txt", "shared/data/text/tinyshakespeare/input.txt"}) {
      std::error_code ignored;
      if (fs::is_regular_file(root / name, ignored)) return core::ReadTextFile(root / name);
    }
    if (root == root.parent_path()) return "";
  }
}

TEST_F(TokenizerPeer, BytesAgree) {
  ExpectAgreement(MakeByteTokenizer(), kSamples);
  const std::string text = Shakespeare();
  if (!text.empty()) ExpectAgreement(MakeByteTokenizer(), text);
}

TEST_F(TokenizerPeer, CharactersAgree) {
  for (const std::string& text : {std::string(kSamples), Shakespeare()}) {
    if (!text.empty()) ExpectAgreement(MakeCharTokenizer({{text}}), text);
  }
}

}  // namespace
}  // namespace pawl::text
