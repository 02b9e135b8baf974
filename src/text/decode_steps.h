// The kinds of decoders as steps of a stream. Tokens come one by one, or, behind a step that joins
// all of them (Fuse, ByteLevel), as the stretches of that one token, each of whole characters.
#pragma once
#include <string>
#include <string_view>
#include <utility>

#include "text/decoder.h"
#include "text/regex.h"

namespace pawl::text {

// Where a step's tokens go.
class DecodeSink {
 public:
  DecodeSink(Decoder::Stream& stream, size_t step, std::string& out)
      : stream_(stream), step_(step), out_(out) {}
  void operator()(std::string_view token) const { stream_.Run(step_, token, out_); }

 private:
  Decoder::Stream& stream_;
  size_t step_;
  std::string& out_;
};

class DecodeStep {
 public:
  virtual ~DecodeStep() = default;
  virtual void Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const = 0;
  virtual void Finish(Decoder::StepState& state, DecodeSink next) const {}
};

// A step for which stretches are not enough: it gets the one token when it is whole.
class WholeTokenStep : public DecodeStep {
 public:
  explicit WholeTokenStep(std::unique_ptr<const DecodeStep> step) : step_(std::move(step)) {}
  void Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const override;
  void Finish(Decoder::StepState& state, DecodeSink next) const override;

 private:
  std::unique_ptr<const DecodeStep> step_;
};

// Spaces between tokens: where there is no decoder.
class JoinStep : public DecodeStep {
 public:
  void Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const override;
};

class FuseStep : public DecodeStep {
 public:
  void Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const override {
    next(token);
  }
};

class ByteLevelStep : public DecodeStep {
 public:
  void Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const override;
  void Finish(Decoder::StepState& state, DecodeSink next) const override;
};

// A run of byte tokens (<0x..>) becomes the text of the bytes, or a U+FFFD for each where they are
// not UTF-8 all together; so a run is certain only when it has ended.
class ByteFallbackStep : public DecodeStep {
 public:
  void Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const override;
  void Finish(Decoder::StepState& state, DecodeSink next) const override;
};

// Marks become spaces; those of the first token go where one was put in front.
class MetaspaceStep : public DecodeStep {
 public:
  MetaspaceStep(std::string replacement, bool prepended, bool fused)
      : replacement_(std::move(replacement)), prepended_(prepended), fused_(fused) {}
  void Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const override;

 private:
  std::string replacement_;
  bool prepended_, fused_;
};

class ReplaceStep : public DecodeStep {
 public:
  ReplaceStep(Regex pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const override;

 private:
  Regex pattern_;
  std::string content_;
};

// Takes up to `start` leading and `stop` trailing characters that are `content` off each token, or
// off the fused one.
class StripStep : public DecodeStep {
 public:
  StripStep(std::string content, int64_t start, int64_t stop, bool fused)
      : content_(std::move(content)), start_(start), stop_(stop), fused_(fused) {}
  void Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const override;
  void Finish(Decoder::StepState& state, DecodeSink next) const override;

 private:
  std::string content_;
  int64_t start_, stop_;
  bool fused_;
};

// End-of-word marks become spaces, but that of the last token.
class BpeDecodeStep : public DecodeStep {
 public:
  explicit BpeDecodeStep(std::string suffix) : suffix_(std::move(suffix)) {}
  void Push(std::string_view token, Decoder::StepState& state, DecodeSink next) const override;
  void Finish(Decoder::StepState& state, DecodeSink next) const override;

 private:
  void Emit(std::string_view token, const char* content, DecodeSink next) const;
  std::string suffix_;
};

}  // namespace pawl::text
