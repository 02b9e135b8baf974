// Any bytes as a data file: either records that read back the same in any order, and encode to
// sequences with as many marks as tokens, or one pawl::Error of one line. The first byte chooses
// the options.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "text/record_encoder.h"
#include "text/record_set.h"

namespace {
using namespace pawl;
using namespace pawl::text;

void Require(bool condition) {
  if (!condition) std::abort();
}

// A file in memory, under the name that /proc gives it.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    Require(fd_ >= 0 && ::write(fd_, data, size) == static_cast<ssize_t>(size));
  }
  ~MemoryFile() { ::close(fd_); }
  std::string path() const { return fmt::format("/proc/self/fd/{}", fd_); }

 private:
  int fd_;
};

TextCodec ByteCodec() {
  TextCodec codec;
  codec.end_text = "\n";
  codec.encode = [](std::string_view text, bool) {
    return std::vector<int32_t>(text.begin(), text.end());
  };
  codec.encode_with_offsets = [](std::string_view text) {
    TextCodec::Tokens tokens;
    for (const char c : text) {
      const auto at = static_cast<int64_t>(tokens.ids.size());
      tokens.ids.push_back(c);
      tokens.offsets.push_back({at, at + 1});
    }
    return tokens;
  };
  codec.render = [](const TextCodec::Chat& chat) {
    TextCodec::Rendered out;
    for (const Json& message : chat.messages) {
      out.text += message.value("role", "") + ": ";
      const auto begin = static_cast<int64_t>(out.text.size());
      out.text += message.dump(-1, ' ', false, Json::error_handler_t::strict);
      if (message.value("role", "") == "assistant")
        out.assistant.push_back({begin, static_cast<int64_t>(out.text.size())});
    }
    if (chat.add_generation_prompt) out.text += "assistant: ";
    return out;
  };
  return codec;
}

void Try(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string_view line = error.what();
    Require(error.exit_code() == 2 && line.size() < 2000 && !line.empty());
  }
}

void CheckSequence(const Sequence& sequence) {
  Require(sequence.tokens.size() == sequence.is_target.size());
  Require(sequence.is_target.empty() || sequence.is_target[0] == 0);
  Require(sequence.prompt >= 0 && sequence.prompt <= static_cast<int64_t>(sequence.tokens.size()));
}

void EncodeAll(const Record& record, uint8_t choice) {
  static const TextCodec codec = ByteCodec();
  SequenceOptions options;
  options.loss_on = static_cast<LossOn>(choice % 3);
  options.wrap_in_chat = (choice & 8) != 0;
  options.max_tokens = choice % 16;
  Try([&] {
    Sequence sequence = EncodeSequence(record, codec, options);
    CheckSequence(sequence);
    const Fit fit = FitSequence(sequence, options);
    CheckSequence(sequence);
    Require(!IsKept(fit) || options.max_tokens == 0 ||
            static_cast<int64_t>(sequence.tokens.size()) <= options.max_tokens);
  });
  Try([&] {
    const SequencePair pair = EncodePair(record, codec, options);
    CheckSequence(pair.chosen);
    CheckSequence(pair.rejected);
  });
  Try([&] { EncodePrompt(record, codec, options); });
}

std::string Dumped(const Record& record) {
  const Json all = {record.text,     record.prompt, record.completion, record.chosen,
                    record.rejected, record.extra,  record.tools};
  return all.dump(-1, ' ', false, Json::error_handler_t::strict) + record.thought;
}

void ReadFile(const std::string& path, uint8_t choice) {
  RecordOptions options;
  options.kind = static_cast<RecordKind>(choice % 7);
  options.bad_records = (choice & 16) != 0 ? BadRecord::kRefuse : BadRecord::kSkip;
  options.invalid_utf8 = (choice & 32) != 0 ? InvalidUtf8::kRefuse : InvalidUtf8::kReplace;
  options.max_line_bytes = (choice & 64) != 0 ? 40 : 4000;
  options.holdout = (choice & 128) != 0 ? 0.5 : 0;
  std::vector<std::string> in_order;
  const RecordSet records({path}, "FILE", options, [&](const Record& record, size_t, int64_t) {
    in_order.push_back(Dumped(record));
    EncodeAll(record, choice);
  });
  const RecordCounts& counts = records.counts();
  Require(counts.lines == counts.empty_lines + counts.bad_lines + counts.records);
  Require(counts.records == static_cast<int64_t>(in_order.size()));
  std::vector<std::string> in_any_order;
  for (const Side side : {Side::kHeldOut, Side::kTrain}) {
    for (int64_t i = records.size(0, side) - 1; i >= 0; --i) {
      Record record;
      Require(records.Read(0, side, i, record));
      in_any_order.push_back(Dumped(record));
    }
  }
  std::sort(in_order.begin(), in_order.end());
  std::sort(in_any_order.begin(), in_any_order.end());
  Require(in_order == in_any_order);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const MemoryFile file(data + 1, size - 1);
  Try([&] { ReadFile(file.path(), data[0]); });
  return 0;
}
