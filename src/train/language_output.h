// What a language run writes beside what every run does: samples.jsonl, model folders, the batch of
// an update that failed, the closing figures. Learner's thread.
#pragma once
#include <memory>
#include <string>

#include "track/append_file.h"
#include "train/language_setup.h"
#include "train/run_checkpoints.h"
#include "train/run_output.h"

namespace pawl::train {

// samples.jsonl: one object a line with the updates done, the prompt and the text that followed.
class SampleFile {
 public:
  explicit SampleFile(const RunFolder& folder) : path_(folder.samples()) {}
  // Drops what came after a checkpoint (0: everything).
  void CutBack(int64_t updates);
  // One text for each prompt; the file is made by the first.
  void Write(LanguageSetup& setup, int64_t updates);
  void Flush();

 private:
  std::filesystem::path path_;
  std::unique_ptr<track::AppendFile> file_;
};

// A Hugging Face folder with its tokenizer; what stood there is replaced when the new one is whole.
void WriteModelFolder(const LanguageSetup& setup, const std::filesystem::path& folder);

// Into bad_update_N/: the batch, and the weights before it as a model folder. Returns what to add
// to the error's message.
std::string WriteBadUpdate(const LanguageSetup& setup, const rollout::SequenceBatch& batch,
                           const std::filesystem::path& folder);

struct LanguageSummary {
  int64_t updates = 0, tokens = 0;
  double time_s = 0;  // training, over all resumes
  double evaluation_s = 0;
  bool stopped_early = false;
  rlhf::LossSum evaluation;  // at the end; no targets: none
  BestScore best;            // its score is a loss
  bool best_model = false;   // best_model/ stands beside model/
};
void FinishLanguage(const LanguageSummary& summary, const LanguageSetup& setup,
                    const RunFolder& folder, RunOutput& output);

// The figures of an evaluation; null where there is none.
nlohmann::ordered_json ToJson(const rlhf::LossSum& evaluation);

}  // namespace pawl::train
