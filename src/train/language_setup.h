// What a language run starts from: the text or the records, the tokenizer, the learner. Made before
// the run folder is touched, so that everything that does not fit is told first. Learner's thread.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "rlhf/language_learner.h"
#include "text/chat_template.h"
#include "text/load_data.h"
#include "train/language_config.h"

namespace pawl::train {

struct LanguageSetup {
  LanguageConfig config;
  text::LoadedData text;
  std::unique_ptr<rlhf::LanguageModelLearner> learner;
  std::vector<std::vector<int32_t>> prompts;  // of samples.prompts
};

// Throws UserError for text, model, tokenizer and prompts that do not fit each other.
LanguageSetup PrepareLanguage(const LanguageConfig& config, const rlhf::LearnerFactory& factory);

// Of the files of the model that adapters are trained on, whose weights no checkpoint holds; 0
// where the training state holds them all. Reads them whole.
int64_t ChecksumOfBase(const LanguageConfig& config);
// Throws UserError unless it is what a training state was saved with. `purpose`: "resume 'x'".
void CheckBase(const core::ArrayMap& state, int64_t checksum, const std::string& purpose);
inline constexpr const char* kBaseChecksum = "loop/base_checksum";

// Throws UserError where the model has no embedding for an id of the tokenizer, or fewer positions
// than `context_key` asks for.
void CheckFit(const rlhf::LearnerInfo& info, const text::Tokenizer& tokenizer, int64_t context,
              const char* context_key);

struct OpenedTokenizer {
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat;  // null where there is none
};
// The tokenizer and the chat template of a folder; `chat_template`: a file in place of the
// latter; `eos_token`: in place of the tokenizer's. What of them is ignored is logged. Throws
// UserError.
OpenedTokenizer OpenTokenizer(const std::filesystem::path& folder,
                              const std::filesystem::path& chat_template = {},
                              const std::string& eos_token = "");

// What a learner is made from.
rlhf::LearnerRequest RequestOf(const LanguageConfig& config, const text::Tokenizer& tokenizer);

// The lines of --dry-run.
std::string DryRunLines(const LanguageSetup& setup);

// A view of a batch; the batch outlives it.
rollout::SequenceBatch ViewOf(const text::TokenBatch& batch);
// The sum of the losses of all batches, in order. `stop` is asked between batches: true ends it
// there.
rlhf::LossSum EvaluateBatches(rlhf::LanguageModelLearner& learner,
                              const std::vector<text::TokenBatch>& batches,
                              bool (*stop)() = nullptr);
// The same over batches that are made one by one.
rlhf::LossSum EvaluateBatches(rlhf::LanguageModelLearner& learner, text::SpreadBatches batches,
                              bool (*stop)() = nullptr);

}  // namespace pawl::train
