// `pawl eval`: loads a policy from a run or checkpoint, plays episodes, prints a table or one JSON
// object, writes a video. Language models: evaluate_language.h.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/policy_file.h"

namespace pawl::train {

struct EvaluateOptions {
  std::string path;
  bool best = false;
  bool json = false;
  // of policies; null or "" = not given
  std::optional<int> episodes;   // 100
  std::optional<uint64_t> seed;  // 1000003
  bool stochastic = false;
  std::string env_id;  // the policy's own
  std::string video;   // none
  // of language models
  std::vector<std::string> data;   // text files, read as the run reads its own
  std::vector<std::string> tasks;  // task files
  std::vector<std::string> set;    // assignments to all of them
  std::vector<std::string> text;   // plain files: perplexity
  int64_t stride = 0;              // of --text; 0 = the context
  std::string against;             // another model on the same tasks
  std::string outputs;             // a folder for the answers
  int64_t context = 0;             // 0 = the run's, or the model's positions
  std::string device;              // "" = cpu, wherever it was trained
};

int EvaluateCommand(const EvaluateOptions& options);

inline constexpr int kVideoEpisodes = 3;

// Writes an MP4 of `episodes` deterministic episodes. False, and no file, where `stop` said so in
// between. Throws pawl::Error where rendering or encoding is not possible.
bool RecordVideo(const nn::Policy& policy, uint64_t seed, int episodes, const std::string& path,
                 bool (*stop)() = nullptr);

}  // namespace pawl::train
