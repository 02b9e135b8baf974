// A language model to be evaluated, from wherever it lies: a Hugging Face folder, a PEFT adapter, a
// run or one of its checkpoints.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "rlhf/language_learner.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "train/language_config.h"

namespace pawl::train {

struct LanguageSubject {
  LanguageConfig config;  // the run's; of a folder the defaults
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat;  // nullptr where the model has none
  std::unique_ptr<rlhf::LanguageModelLearner> learner;
  std::string name;           // the checkpoint or folder
  std::filesystem::path run;  // empty of a folder
};

struct SubjectOptions {
  bool best = false;           // of a run: the best checkpoint instead of the newest
  int64_t context = 0;         // 0 = the run's, or the model's positions
  std::string device = "cpu";  // wherever it was trained
};

// Whether a path is a language model.
bool IsLanguagePath(const std::filesystem::path& path);
bool IsModelFolder(const std::filesystem::path& path);  // and no run or checkpoint
// Throws UserError where it is none, or lacks a tokenizer or its base.
LanguageSubject OpenLanguageModel(const std::filesystem::path& path, const SubjectOptions& options,
                                  const rlhf::LearnerFactory& factory);

}  // namespace pawl::train
