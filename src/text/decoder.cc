#include "text/decoder.h"

#include "text/decode_steps.h"
#include "text/json_entry.h"
#include "text/utf8.h"

namespace pawl::text {
namespace {
std::unique_ptr<const DecodeStep> ReadReplace(const JsonEntry& entry, bool fused) {
  const JsonEntry pattern = entry.Object("pattern");
  const bool is_regex = pattern.Has("Regex");
  const std::string text = pattern.String(is_regex ? "Regex" : "String");
  auto step = std::make_unique<ReplaceStep>(
      is_regex ? Regex::Compile(text, pattern.place() + ".Regex") : Regex::Literal(text),
      entry.String("content"));
  // one character of a stretch is one of the whole
  const bool one_character = !is_regex && !text.empty() && CodePointAt(text, 0).size == text.size();
  if (!fused || one_character) return step;
  return std::make_unique<WholeTokenStep>(std::move(step));
}

template <class Step>
std::unique_ptr<const DecodeStep> MakeStep(bool fused, Step step) {
  auto made = std::make_unique<Step>(std::move(step));
  if (!fused) return made;
  return std::make_unique<WholeTokenStep>(std::move(made));
}
}  // namespace

Decoder::Decoder(const nlohmann::json& entry, const std::string& source) {
  if (entry.is_null()) {
    steps_.push_back(std::make_unique<JoinStep>());
    return;
  }
  bool fused = false;
  const JsonEntry decoder(entry, source + ": decoder");
  Read(decoder, fused);
  is_byte_level_ =
      steps_.size() == 1 && dynamic_cast<const ByteLevelStep*>(steps_.front().get()) != nullptr;
}

Decoder::Decoder(Decoder&&) noexcept = default;
Decoder::~Decoder() = default;

void Decoder::Read(const JsonEntry& entry, bool& fused) {
  const std::string type = entry.String("type");
  if (type == "Sequence") {
    for (const JsonEntry& part : entry.Objects("decoders")) Read(part, fused);
  } else if (type == "ByteLevel") {
    steps_.push_back(MakeStep(fused, ByteLevelStep()));
    fused = true;
  } else if (type == "Fuse") {
    steps_.push_back(std::make_unique<FuseStep>());
    fused = true;
  } else if (type == "ByteFallback") {
    steps_.push_back(MakeStep(fused, ByteFallbackStep()));
  } else if (type == "Metaspace") {
    const bool prepended = entry.OptionalString("prepend_scheme").value_or("always") != "never" &&
                           entry.Bool("add_prefix_space", true);
    steps_.push_back(
        std::make_unique<MetaspaceStep>(entry.Character("replacement"), prepended, fused));
  } else if (type == "Replace") {
    steps_.push_back(ReadReplace(entry, fused));
  } else if (type == "Strip") {
    const int64_t start = entry.Integer("start"), stop = entry.Integer("stop");
    if (start < 0 || stop < 0) entry.Refuse("'start' or 'stop' is negative", "0 or more");
    steps_.push_back(std::make_unique<StripStep>(entry.Character("content"), start, stop, fused));
  } else if (type == "BPEDecoder") {
    steps_.push_back(MakeStep(fused, BpeDecodeStep(entry.String("suffix"))));
  } else {
    entry.Refuse(fmt::format("the decoder {} is not supported", type),
                 "ByteLevel, ByteFallback, Metaspace, Fuse, Strip, Replace, BPEDecoder or "
                 "Sequence");
  }
}

void Decoder::Stream::Run(size_t step, std::string_view token, std::string& out) {
  if (step == states_.size()) {
    out += token;
    return;
  }
  decoder_.steps_[step]->Push(token, states_[step], DecodeSink(*this, step + 1, out));
}

void Decoder::Stream::Finish(std::string& out) {
  for (size_t step = 0; step < states_.size(); ++step)
    decoder_.steps_[step]->Finish(states_[step], DecodeSink(*this, step + 1, out));
}

}  // namespace pawl::text
