// Text to token ids and back. A tokenizer is immutable once made and may be used by any thread. In
// model folders it stands as Hugging Face's tokenizer.json, which Python's tokenizers and
// transformers load and agree with.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pawl::text {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual int64_t vocab_size() const = 0;  // ids are 0 .. vocab_size - 1
  // Throws UserError where the text holds what has no id, naming it. No token is added.
  virtual std::vector<int32_t> Encode(std::string_view text) const = 0;
  // Valid UTF-8: bytes that are none become U+FFFD. Ids out of range are left out.
  virtual std::string Decode(std::span<const int32_t> ids) const = 0;
  // The contents of tokenizer.json.
  virtual std::string ToJson() const = 0;
  // Marks the end of a text; nothing where the tokenizer has no such token.
  virtual std::optional<int32_t> eos_id() const { return std::nullopt; }
};

// One id per Unicode code point of a text, in the order of the code points (nanoGPT's).
class CharTokenizer : public Tokenizer {
 public:
  // `code_points`: ascending, without repetition, at least one.
  explicit CharTokenizer(std::vector<char32_t> code_points);
  // Of the code points that occur in the texts (valid UTF-8).
  static CharTokenizer FromTexts(std::span<const std::string_view> texts);
  int64_t vocab_size() const override { return static_cast<int64_t>(code_points_.size()); }
  std::vector<int32_t> Encode(std::string_view text) const override;
  std::string Decode(std::span<const int32_t> ids) const override;
  std::string ToJson() const override;

 private:
  std::vector<char32_t> code_points_;
  std::vector<int32_t> ascii_;  // [128] id or -1
  std::unordered_map<char32_t, int32_t> others_;
};

// The 256 bytes of UTF-8; id = byte.
class ByteTokenizer : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 256; }
  std::vector<int32_t> Encode(std::string_view text) const override;
  std::string Decode(std::span<const int32_t> ids) const override;
  std::string ToJson() const override;
};

// Writes tokenizer.json and tokenizer_config.json into an existing folder. model_max_length is what
// transformers takes for the longest input.
void WriteTokenizer(const Tokenizer& tokenizer, const std::filesystem::path& folder,
                    int64_t model_max_length);
// Reads the tokenizer.json of a folder. Throws UserError where there is none, or where it is none
// of the kinds above.
std::unique_ptr<Tokenizer> LoadTokenizer(const std::filesystem::path& folder);
// The same from the text of a tokenizer.json; `source` names it in messages.
std::unique_ptr<Tokenizer> ParseTokenizer(std::string_view json, const std::string& source);

}  // namespace pawl::text
