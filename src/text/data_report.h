// What data files hold, as numbers: `pawl data inspect`. Reads through the files once, in bounded
// memory.
#pragma once
#include <array>
#include <map>
#include <string>
#include <vector>

#include "text/length_histogram.h"
#include "text/record_encoder.h"
#include "text/record_set.h"

namespace pawl::text {

// A stretch of a rendered record.
struct ShownPiece {
  std::string text;
  bool learned = false;
};
struct ShownRecord {
  std::string place, title;  // file:line; "rejected"
  std::vector<ShownPiece> pieces;
};

struct DataReport {
  RecordCounts counts;
  RecordKind kind = RecordKind::kAuto;
  int64_t conversational = 0;
  std::map<std::string, int64_t> extra_columns;  // records that have it; at most 100 names
  LengthHistogram characters;                    // of all texts of a record
  // With a tokenizer: of sequences as they would be learned, before they are cut.
  LengthHistogram tokens, prompt_tokens, learned_tokens;
  std::array<int64_t, kNumFits> fits{};
  int64_t prompt_differs = 0;
  int64_t not_encoded = 0;  // records that the template or tokenizer refused
  std::string first_refusal;
  std::vector<ShownRecord> shown;
};

// `config`: files, columns, kind, limits and what is learned. `tokenizer` and `codec`: null where
// there is none; then only characters are counted. `show`: records to render.
DataReport InspectData(const DataConfig& config, const Tokenizer* tokenizer, const TextCodec* codec,
                       int64_t show);

}  // namespace pawl::text
