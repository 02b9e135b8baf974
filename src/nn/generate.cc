#include "nn/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "nn/decoder.h"
#include "nn/micro_batch.h"

namespace pawl::nn {
namespace {

// Gumbel-argmax: a draw from softmax(logits / temperature).
int32_t Sample(std::span<const float> logits, const GenerateOptions& options, int64_t position) {
  if (options.temperature == 0) {
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  core::Philox rng(options.seed, core::Role::kGeneration, options.index,
                   static_cast<uint64_t>(position));
  double best = 0;
  int32_t chosen = -1;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double uniform = 1 - rng.Uniform();  // in (0, 1]
    const double score = logits[i] / options.temperature - std::log(-std::log(uniform) + 1e-300);
    if (chosen < 0 || score > best) {
      best = score;
      chosen = static_cast<int32_t>(i);
    }
  }
  return chosen;
}

// Appends to `ids` until `wanted` are there, an end token comes, or the model's positions are full.
// True: ended before that.
bool Extend(const DecoderModel& model, size_t wanted, const GenerateOptions& options,
            std::vector<int32_t>& ids, int64_t& drawn, kernels::Team& team) {
  const ModelConfig& config = model.weights.config();
  const auto capacity = std::min(static_cast<int64_t>(wanted), config.max_positions);
  KvCache cache(config, capacity);
  Decoder decoder(model.weights.shared_layout(), static_cast<int64_t>(ids.size()),
                  KeepActivations::kNothing, team);
  std::vector<float> logits(static_cast<size_t>(config.vocab));
  std::vector<int32_t> input = ids, positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  while (ids.size() < wanted && cache.length() < capacity) {
    const auto rows = static_cast<int64_t>(input.size());
    const DecoderSequence sequence{.rows = rows, .first_position = cache.length(), .cache = &cache};
    const float* hidden = decoder.Forward(
        model, {.tokens = input, .positions = positions, .sequences = {&sequence, 1}});
    HeadLogits(model, hidden + (rows - 1) * config.width, 1, logits.data(), team);
    const int32_t id = Sample(logits, options, drawn++);
    ids.push_back(id);
    const bool last = options.ends && options.ends(id);
    if (last || std::ranges::find(config.eos_ids, id) != config.eos_ids.end()) return true;
    input.assign(1, id);
    positions.assign(1, static_cast<int32_t>(cache.length()));
  }
  return false;
}
}  // namespace

std::vector<int32_t> Generate(const DecoderModel& model, std::span<const int32_t> prompt,
                              const GenerateOptions& options, kernels::Team& team) {
  const auto longest = static_cast<size_t>(model.weights.config().max_positions);
  PAWL_CHECK(!prompt.empty(), "an empty prompt");
  CheckTokens(prompt, model.weights.config().vocab, "a prompt");
  std::vector<int32_t> out;
  int64_t drawn = 0;
  std::vector<int32_t> text(prompt.begin(), prompt.end());
  while (static_cast<int64_t>(out.size()) < options.tokens) {
    // where positions end, the model goes on from the last half of them as if that were all
    if (text.size() > longest) {
      text.erase(text.begin(), text.end() - static_cast<int64_t>(std::max<size_t>(longest / 2, 1)));
    }
    const size_t before = text.size();
    const bool ended = Extend(model, before + static_cast<size_t>(options.tokens) - out.size(),
                              options, text, drawn, team);
    out.insert(out.end(), text.begin() + static_cast<int64_t>(before), text.end());
    if (ended) break;
  }
  return out;
}

}  // namespace pawl::nn
