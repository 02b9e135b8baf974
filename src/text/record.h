// One line of a data file as what it is for: text to model, a prompt, a prompt with its completion,
// a preference. The kinds and their columns are TRL's (docs/data.md). Between the files
// (record_set.h) and the token sequences (record_encoder.h). Pure functions.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "text/data_config.h"
#include "text/record_json.h"

namespace pawl::text {

const char* NameOf(RecordKind kind);

// What the columns of the files are called: [data.columns] where they differ from these. A name
// that is no column may be a path: "instances.0.output".
struct Columns {
  std::string text = "text", messages = "messages", prompt = "prompt", completion = "completion",
              chosen = "chosen", rejected = "rejected", label = "label", question = "question",
              thought = "thought", answer = "answer", tools = "tools";
  template <class F>
  void Each(const F& f) {
    f("text", text), f("messages", messages), f("prompt", prompt), f("completion", completion);
    f("chosen", chosen), f("rejected", rejected), f("label", label), f("question", question);
    f("thought", thought), f("answer", answer), f("tools", tools);
  }
};
// Throws UserError for a key that is no column, or a value that is no text.
Columns ReadColumns(const core::Table& table);

// Content is text or a list of messages ({role, content, ...}), the same in all parts of a record.
struct Record {
  RecordKind kind = RecordKind::kLanguage;
  bool conversational = false;
  Json text;                // language
  Json prompt, completion;  // prompt, prompt-completion, unpaired, thought (question and answer)
  Json chosen, rejected;    // preference; what follows the prompt
  std::string thought;      // thought
  bool label = false;       // unpaired
  Json tools;               // the list that templates take, or null
  Json template_args;       // chat_template_kwargs: an object, or null
  Json extra;               // the other columns, for reward functions
};

// False: `problem` says which column is missing or of the wrong type. Messages of the form
// {from, value} become {role, content}, their "human" and "gpt" the roles user and assistant.
bool ReadRecord(Json row, const Columns& columns, RecordKind wanted, Record& record,
                Problem& problem);

// A line that is no JSON: a text, or with a separator prompt (up to its end) and completion. False:
// the separator is not there.
bool ReadLine(std::string_view line, std::string_view separator, Record& record);

// Whether content is a list of messages rather than text.
bool IsConversational(const Json& content);

// What chosen and rejected begin with in common, taken off both: whole messages, or characters with
// a space before the difference left to the completions. Where one begins with all of the other,
// the last message or character of the shorter still counts as completion.
Json ExtractPrompt(Json& chosen, Json& rejected);

}  // namespace pawl::text
