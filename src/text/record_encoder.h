// From records to token sequences with the loss mask, as TRL's trainers prepare them: what is
// rendered, where the end token is added, where a completion begins. Pure functions of a record and
// a TextCodec, so that any thread may call them.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/data_config.h"
#include "text/record.h"

namespace pawl::text {

class ChatTemplate;
class Tokenizer;

struct CharRange {
  int64_t begin = 0, end = 0;  // in characters (code points) of a text
};

// The two steps from a record to ids, by whoever has the tokenizer and the chat template.
struct TextCodec {
  struct Chat {
    const Json& messages;
    const Json& tools;          // a list, or null
    const Json& template_args;  // an object, or null
    bool add_generation_prompt = false;
    bool continue_final_message = false;
  };
  struct Rendered {
    std::string text;
    std::vector<CharRange> assistant;  // what the assistant wrote, where the template marks it
  };
  struct Tokens {
    std::vector<int32_t> ids;
    std::vector<CharRange> offsets;  // the characters that each token stands for
  };
  // `special_tokens`: with those that the tokenizer puts around a text (BOS). Ids of special tokens
  // that are written out in the text are found in any case.
  std::function<std::vector<int32_t>(std::string_view text, bool special_tokens)> encode;
  std::function<Tokens(std::string_view text)> encode_with_offsets;  // without special tokens
  std::function<Rendered(const Chat& chat)> render;                  // empty: no chat template
  std::string end_text;  // what ends a text: that of the end token, or a line break
};
// Of a tokenizer, which must outlive the codec, and of a chat template, without which messages are
// refused. `date`: "2026-07-26", for templates that write the date; "": those are refused.
TextCodec CodecOf(const Tokenizer& tokenizer, std::shared_ptr<const ChatTemplate> chat = nullptr,
                  const std::string& date = "");

struct SequenceOptions {
  LossOn loss_on = LossOn::kCompletion;
  bool wrap_in_chat = false;  // prompt and completion that are text become a user's and a reply
  std::string thought_open = "<think>\n", thought_close = "\n</think>\n\n";
  int64_t max_tokens = 0;         // 0: no limit
  int64_t min_tokens = 0;         // shorter sequences are dropped
  int64_t max_prompt_tokens = 0;  // sequences with longer prompts are dropped; 0: no limit
  LongLine long_records = LongLine::kTruncate;
};
SequenceOptions SequenceOptionsOf(const DataConfig& config);

struct Sequence {
  std::vector<int32_t> tokens;     // [S]
  std::vector<uint8_t> is_target;  // [S]; the first never is
  int64_t prompt = 0;              // tokens before the completion; 0 where there is no prompt
  // The prompt alone has other tokens at its end than here: a template that renders it differently,
  // or a merge across the boundary.
  bool prompt_differs = false;
};

// What became of a sequence under the limits of the options.
enum class Fit : uint8_t {
  kKept,
  kTruncated,       // cut to max_tokens
  kTooLong,         // LongLine::kDrop
  kTooShort,        // under min_tokens
  kLongPrompt,      // over max_prompt_tokens
  kNothingToLearn,  // no target is left
};
constexpr int kNumFits = 6;
inline bool IsKept(Fit fit) { return fit == Fit::kKept || fit == Fit::kTruncated; }

// All of a record (language, prompt-completion, unpaired, thought), uncut. Throws UserError,
// without a place, for a kind with nothing to learn, messages without a template, loss_on =
// "assistant" where nothing is the assistant's.
Sequence EncodeSequence(const Record& record, const TextCodec& codec,
                        const SequenceOptions& options);
// Cuts it, or says why it is dropped. Throws UserError where it is too long and long = "refuse".
Fit FitSequence(Sequence& sequence, const SequenceOptions& options);

// A preference: both have the same `prompt`, the shorter of the two common beginnings.
struct SequencePair {
  Sequence chosen, rejected;
};
SequencePair EncodePair(const Record& record, const TextCodec& codec,
                        const SequenceOptions& options);

// The prompt alone, ready to be continued. Any kind but language.
std::vector<int32_t> EncodePrompt(const Record& record, const TextCodec& codec,
                                  const SequenceOptions& options);

}  // namespace pawl::text
