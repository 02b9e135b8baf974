// The splitting patterns of public tokenizers over a text file, on one thread, and the training of
// a byte-level BPE on it. One JSON object a line.
//   text_split_bench split FILE...
//   text_split_bench train FILE VOCAB OUT     (a line of the file is a text; OUT: tokenizer.json)
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "text/regex.h"
#include "text/train_bpe.h"

namespace {
using namespace pawl;

constexpr std::pair<const char*, const char*> kPatterns[] = {
    {"gpt2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    {"llama3", R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
               R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"o200k", R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
              R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
              R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
              R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|)"
              R"( ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
};

// Processor seconds of this thread: on a shared machine other programs do not count.
double ThreadSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void Split(const char* file) {
  const std::string text = core::ReadTextFile(file);
  for (const auto& [name, pattern] : kPatterns) {
    const text::Regex regex = text::Regex::Compile(pattern, name);
    double best = 1e30;
    size_t matches = 0;
    for (int round = 0; round < 7; ++round) {
      matches = 0;
      const double begin = ThreadSeconds();
      regex.ForEachMatch(text, [&](text::Regex::Match /*match*/) { ++matches; });
      best = std::min(best, ThreadSeconds() - begin);
    }
    std::printf(
        "{\"bench\": \"split\", \"pattern\": \"%s\", \"matches\": %zu, \"mb_per_s\": %.1f}\n", name,
        matches, static_cast<double>(text.size()) / best / 1e6);
  }
}

void Train(const char* file, const char* vocab, const char* out) {
  const std::string text = core::ReadTextFile(file);
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    lines.push_back(std::string_view(text).substr(at, end - at));
    at = end;
  }
  text::TrainBpeConfig config;
  config.vocab_size = std::stoll(vocab);
  config.special_tokens = {"<|endoftext|>"};
  timespec begin{}, end{};
  clock_gettime(CLOCK_MONOTONIC, &begin);
  const text::BpeMerges bpe = text::TrainBpe(lines, config);
  clock_gettime(CLOCK_MONOTONIC, &end);
  core::WriteFileAtomic(out, text::BpeTokenizerJson(bpe, config));
  std::printf("{\"bench\": \"train_bpe\", \"bytes\": %zu, \"merges\": %zu, \"seconds\": %.3f}\n",
              text.size(), bpe.merges.size(),
              static_cast<double>(end.tv_sec - begin.tv_sec) +
                  static_cast<double>(end.tv_nsec - begin.tv_nsec) * 1e-9);
}
}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 2 ? argv[1] : "";
  try {
    if (mode == "split") {
      for (int i = 2; i < argc; ++i) Split(argv[i]);
      return 0;
    }
    if (mode == "train" && argc == 5) {
      Train(argv[2], argv[3], argv[4]);
      return 0;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::fprintf(stderr, "text_split_bench split FILE... | train FILE VOCAB OUT\n");
  return 2;
}
