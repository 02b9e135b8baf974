// Text to token ids and back: a pipeline read from a Hugging Face tokenizer.json that gives the
// ids, offsets and text of Python's tokenizers package. A Tokenizer is immutable once made; its
// methods may be called by any thread. Words that a thread met before are kept in a cache of that
// thread.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/encoding.h"
#include "text/utf8.h"

namespace pawl::text {

struct TokenizerParts;

// What becomes of a character that has no token where the model has no token for unknown ones.
enum class UnknownText : uint8_t { kDrop, kRefuse };

struct EncodeOptions {
  bool add_special_tokens = false;  // those of the tokenizer's template: <s> .. </s>
  bool add_first_tokens = false;    // of them those before the text alone, for a prompt; of Encode
  UnknownText unknown = UnknownText::kDrop;
  InvalidUtf8 invalid_utf8 = InvalidUtf8::kReplace;
  int64_t* replaced_utf8 = nullptr;  // adds the stretches of bytes that were replaced
};

struct DecodeOptions {
  bool skip_special_tokens = false;
};

class Tokenizer {
 public:
  explicit Tokenizer(std::shared_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}

  // Ids are below it; where ids leave gaps, not all of them are tokens.
  int64_t vocab_size() const;
  // Throws UserError for text that an option refuses, and for text of 2^32 bytes and more.
  std::vector<int32_t> Encode(std::string_view text, const EncodeOptions& options = {}) const;
  // The same ids with their places in the text; slower.
  Encoding EncodeWithOffsets(std::string_view text, const EncodeOptions& options = {}) const;
  // Valid UTF-8: bytes that are none become U+FFFD. Ids that are no tokens are left out.
  std::string Decode(std::span<const int32_t> ids, const DecodeOptions& options = {}) const;

  std::optional<int32_t> TokenToId(std::string_view token) const;
  std::optional<std::string> IdToToken(int32_t id) const;
  // Of tokenizer_config.json; nothing where it names none, or was not there.
  std::optional<int32_t> eos_id() const;  // marks the end of a text
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> pad_id() const;

  // A line for each part of the file that is ignored, for whoever loads it to tell.
  const std::vector<std::string>& warnings() const;
  // The contents of tokenizer.json: of the file that was read.
  const std::string& ToJson() const;
  // Of the chat_template.jinja it was read with; empty where there was none.
  const std::string& chat_template() const;
  const TokenizerParts& parts() const { return *parts_; }

 private:
  std::shared_ptr<const TokenizerParts> parts_;
};

// Ids as they come, as text: Push gives what is certain now, never half a character; all of it
// together with Finish is Decode of the ids. The tokenizer must outlive it. One thread.
class TokenStream {
 public:
  explicit TokenStream(const Tokenizer& tokenizer, const DecodeOptions& options = {});
  TokenStream(TokenStream&&) noexcept;
  ~TokenStream();
  std::string Push(int32_t id);
  std::string Finish();  // what waited; nothing may be pushed after it

 private:
  friend class Tokenizer;
  void Push(int32_t id, std::string& out);
  struct State;
  const TokenizerParts& parts_;
  DecodeOptions options_;
  std::unique_ptr<State> state_;
};

// The text of ids that go on from a prompt: Decode of both without the prompt's, so that a space at
// its begin stays where a tokenizer drops that of a text.
std::string DecodeAfter(const Tokenizer& tokenizer, std::span<const int32_t> prompt,
                        std::span<const int32_t> ids, const DecodeOptions& options = {});

// One id per Unicode code point of the texts (valid UTF-8), in the order of the code points
// (nanoGPT's). Other characters have none.
Tokenizer MakeCharTokenizer(std::span<const std::string_view> texts);
// The 256 bytes of UTF-8; id = byte.
Tokenizer MakeByteTokenizer();

// Names to contents: tokenizer.json, tokenizer_config.json and, where the tokenizer was read with
// one, chat_template.jinja. model_max_length is what transformers takes for the longest input.
std::map<std::string, std::string> TokenizerFiles(const Tokenizer& tokenizer,
                                                  int64_t model_max_length);
// Writes them into an existing folder.
void WriteTokenizer(const Tokenizer& tokenizer, const std::filesystem::path& folder,
                    int64_t model_max_length);
// Reads a folder as transformers does: tokenizer.json, else SentencePiece's tokenizer.model, else
// GPT-2's vocab.json and merges.txt, these two with the tokens of added_tokens_decoder in
// tokenizer_config.json, or of added_tokens.json; tokenizer_config.json names the tokens that
// begin, end and pad texts, and whether they are added. A file is read as a tokenizer.json.
// `chat_template`: a file in place of the folder's chat_template.jinja. `eos_token`: in place of
// the config's. Throws UserError.
std::unique_ptr<Tokenizer> LoadTokenizer(const std::filesystem::path& folder,
                                         const std::filesystem::path& chat_template = {},
                                         const std::string& eos_token = "");
// From the text of a tokenizer.json alone; `source` names it in messages.
std::unique_ptr<Tokenizer> ParseTokenizer(std::string_view json, const std::string& source);

}  // namespace pawl::text
