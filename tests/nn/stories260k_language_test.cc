// A model that was really trained, against the recorded outputs of the program it was trained for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <numeric>

#include "core/file.h"
#include "tests/nn/language_testing.h"
#include "tests/nn/stories260k_testing.h"

namespace pawl::nn {
namespace {

constexpr int32_t kBos = 1;
constexpr int32_t kFirstByte = 3;

// llama2.c's vocabulary and its byte-pair encoding, enough for these tests.
class Llama2cVocabulary {
 public:
  explicit Llama2cVocabulary(const std::filesystem::path& path) {
    const auto bytes = core::ReadBinaryFile(path);
    size_t at = sizeof(int32_t);  // the longest piece
    const auto take = [&](void* to, size_t size) {
      std::memcpy(to, bytes.data() + at, size);
      at += size;
    };
    while (at < bytes.size()) {
      float score = 0;
      int32_t length = 0;
      take(&score, sizeof(score));
      take(&length, sizeof(length));
      std::string piece(static_cast<size_t>(length), ' ');
      take(piece.data(), piece.size());
      ids_.emplace(piece, static_cast<int32_t>(pieces_.size()));
      pieces_.push_back(piece);
      scores_.push_back(score);
    }
  }
  std::vector<int32_t> Encode(const std::string& text) const {
    std::vector<int32_t> ids = {kBos, ids_.at(" ")};
    for (size_t i = 0; i < text.size();) {
      size_t size = 1;
      while (i + size < text.size() && (text[i + size] & 0xc0) == 0x80) ++size;
      const auto known = ids_.find(text.substr(i, size));
      if (known != ids_.end()) {
        ids.push_back(known->second);
      } else {
        for (size_t b = 0; b < size; ++b)
          ids.push_back(static_cast<uint8_t>(text[i + b]) + kFirstByte);
      }
      i += size;
    }
    while (MergeBest(ids)) {
    }
    return ids;
  }
  std::string Decode(const std::vector<int32_t>& ids) const {
    std::string text;
    for (size_t i = 0; i < ids.size(); ++i) {
      const std::string& piece = pieces_.at(static_cast<size_t>(ids[i]));
      unsigned byte = 0;
      if (std::sscanf(piece.c_str(), "<0x%02X>", &byte) == 1) {
        text += static_cast<char>(byte);
      } else {
        text += i == 0 && piece.starts_with(' ') ? piece.substr(1) : piece;
      }
    }
    return text;
  }

 private:
  bool MergeBest(std::vector<int32_t>& ids) const {
    float best = -1e10f;
    size_t where = 0;
    int32_t merged = -1;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = ids_.find(pieces_[ids[i]] + pieces_[ids[i + 1]]);
      if (found == ids_.end() || scores_[found->second] <= best) continue;
      best = scores_[found->second];
      where = i;
      merged = found->second;
    }
    if (merged < 0) return false;
    ids[where] = merged;
    ids.erase(ids.begin() + static_cast<int64_t>(where) + 1);
    return true;
  }
  std::vector<std::string> pieces_;
  std::vector<float> scores_;
  std::map<std::string, int32_t> ids_;
};

class Stories260kLanguage : public testing::Test {
 protected:
  void SetUp() override {
    const auto stories = MakeStories260k();
    if (!stories) GTEST_SKIP() << kNoStories260k;
    source_ = stories->source;
    layout_ = std::make_shared<DecoderLayout>(ReadModelConfig(stories->folder));
    trainer_ = MakeCpuTrainer(
        layout_, [&](std::span<float> to) { ReadWeights(stories->folder, *layout_, to); },
        {.threads = 2, .evaluate_only = true});
    vocabulary_ = std::make_unique<Llama2cVocabulary>(source_ / "tok512.bin");
  }
  std::filesystem::path source_;
  std::shared_ptr<const DecoderLayout> layout_;
  std::unique_ptr<LanguageTrainer> trainer_;
  std::unique_ptr<Llama2cVocabulary> vocabulary_;
};

TEST_F(Stories260kLanguage, GreedyTextIsThatOfTheReferenceProgram) {
  const std::vector<int32_t> prompt = {kBos};
  auto ids = trainer_->Generate(prompt, {.tokens = 199, .temperature = 0});
  const std::string expected = core::ReadTextFile(source_ / "golden_greedy_200.txt");
  const std::string text = vocabulary_->Decode(ids);
  EXPECT_GT(text.size(), 400u);
  EXPECT_EQ(text, expected.substr(0, text.size()));
}

// golden_numbers.txt: mean_nll_nats 1.548483 over 20 windows of 255 targets of tiny_stories.txt.
TEST_F(Stories260kLanguage, MeanLossOnStoriesIsThatOfTheReferenceProgram) {
  const auto text = core::ReadTextFile(source_ / "../../text/tinystories/tiny_stories.txt");
  const auto ids = vocabulary_->Encode(text.substr(0, 14'000));
  constexpr int64_t kWindows = 20, kTargets = 255;
  ASSERT_GT(ids.size(), static_cast<size_t>(kWindows * kTargets + 1));
  OwnedSequences batch;
  for (int64_t window = 0; window < kWindows; ++window) {
    std::vector<int32_t> sequence = {kBos};
    const auto begin = ids.begin() + 1 + window * kTargets;
    sequence.insert(sequence.end(), begin, begin + kTargets);
    batch.Add(sequence);
  }
  std::vector<float> log_prob(CountTargets(batch.view()));
  trainer_->Score(batch.view(), {log_prob});
  const double loss = -std::accumulate(log_prob.begin(), log_prob.end(), 0.0) /
                      static_cast<double>(log_prob.size());
  EXPECT_NEAR(loss, 1.548483, 2e-6);
}

}  // namespace
}  // namespace pawl::nn
