#include "nn/micro_batch.h"

#include "core/error.h"

namespace pawl::nn {
namespace {

// Rows of a sequence that matter: those before its last target.
int64_t RowsOf(const TokenSequences& batch, int64_t begin, int64_t end) {
  int64_t last = end - 1;
  while (last > begin && batch.is_target[last] == 0) --last;
  return last - begin;
}

void AddSequence(const TokenSequences& batch, int64_t begin, int64_t rows, MicroBatch& part) {
  const auto row = static_cast<int64_t>(part.tokens.size());
  part.sequences.push_back({.row = row, .rows = rows});
  for (int64_t i = 0; i < rows; ++i) {
    part.tokens.push_back(batch.tokens[begin + i]);
    part.positions.push_back(static_cast<int32_t>(i));
    if (batch.is_target[begin + i + 1] == 0) continue;
    part.targets.push_back(batch.tokens[begin + i + 1]);
    part.target_rows.push_back(row + i);
  }
}

void CheckBatch(const TokenSequences& batch, const ModelConfig& config) {
  PAWL_CHECK(!batch.starts.empty() && batch.starts.front() == 0, "starts of a batch");
  PAWL_CHECK_EQ(static_cast<size_t>(batch.starts.back()), batch.tokens.size());
  PAWL_CHECK_EQ(batch.is_target.size(), batch.tokens.size());
  CheckTokens(batch.tokens, config.vocab, "a batch");
  for (size_t i = 0; i + 1 < batch.starts.size(); ++i) {
    const int64_t begin = batch.starts[i], end = batch.starts[i + 1];
    PAWL_CHECK_LE(begin, end, "starts of a batch");
    PAWL_CHECK_LE(static_cast<size_t>(end), batch.tokens.size(), "starts of a batch");
    if (begin == end) continue;
    PAWL_CHECK_EQ(batch.is_target[begin], 0, "the first token of a sequence has nothing before it");
    if (config.learned_positions) {
      PAWL_CHECK_LE(RowsOf(batch, begin, end), config.max_positions, "positions of sequence {}", i);
    }
  }
}
}  // namespace

void CheckTokens(std::span<const int32_t> tokens, int64_t vocab, const char* what) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    PAWL_CHECK(tokens[i] >= 0 && tokens[i] < vocab,
               "token {} of {} has id {}, the model's vocabulary is {}", i, what, tokens[i], vocab);
  }
}

void ForEachMicroBatch(const TokenSequences& batch, const ModelConfig& config, int64_t max_tokens,
                       const std::function<void(const MicroBatch&)>& f) {
  CheckBatch(batch, config);
  MicroBatch part;
  const auto flush = [&] {
    if (part.tokens.empty()) return;
    f(part);
    part = {.first_target = part.first_target + static_cast<int64_t>(part.targets.size())};
  };
  for (size_t i = 0; i + 1 < batch.starts.size(); ++i) {
    const int64_t begin = batch.starts[i], end = batch.starts[i + 1];
    const int64_t rows = begin < end ? RowsOf(batch, begin, end) : 0;
    if (rows == 0) continue;
    if (static_cast<int64_t>(part.tokens.size()) + rows > max_tokens) flush();
    AddSequence(batch, begin, rows, part);
  }
  flush();
}

}  // namespace pawl::nn
