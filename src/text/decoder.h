// The decoders of a tokenizer.json: tokens back to text. A Decoder is immutable and may be used by
// any thread; a Stream is one decoding in progress, which gives text as soon as no later token can
// change it. Decoding all is such a stream to its end, so the two never differ.
#pragma once
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::text {

class DecodeStep;

class Decoder {
 public:
  struct StepState {
    std::string held;     // what is not certain yet
    std::string scratch;  // for the token in hand
    int64_t seen = 0;     // tokens or characters, as the step counts
  };
  class Stream {
   public:
    explicit Stream(const Decoder& decoder) : decoder_(decoder), states_(decoder.steps_.size()) {}
    // Appends to `out` the text that is certain now.
    void Push(std::string_view token, std::string& out) { Run(0, token, out); }
    void Finish(std::string& out);
    // Step `step` takes a token; behind the last one it is text.
    void Run(size_t step, std::string_view token, std::string& out);

   private:
    const Decoder& decoder_;
    std::vector<StepState> states_;
  };

  // Of the "decoder" entry: ByteLevel, ByteFallback, Metaspace, Fuse, Strip, Replace, BPEDecoder,
  // Sequence; null: tokens with spaces between them. Throws UserError naming `source` and the kind
  // for others.
  Decoder(const nlohmann::json& entry, const std::string& source);
  Decoder(Decoder&&) noexcept;
  ~Decoder();

  // Whether the decoder is ByteLevel alone: each token is bytes, the text is theirs.
  bool is_byte_level() const { return is_byte_level_; }

 private:
  void Read(const class JsonEntry& entry, bool& fused);
  std::vector<std::unique_ptr<const DecodeStep>> steps_;
  bool is_byte_level_ = false;
};

// The bytes that ByteLevel takes a token for: those of its symbols, or its own where some character
// is no symbol.
std::string BytesOfToken(std::string_view token);

// Bytes as they come, as text: invalid ones become U+FFFD; in `held` the beginning of a character
// waits for its end. Appends what is certain to `out`.
void PushUtf8(std::string_view bytes, std::string& held, std::string& out);
void FinishUtf8(std::string& held, std::string& out);

}  // namespace pawl::text
