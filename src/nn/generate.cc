#include "nn/generate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "nn/decoder.h"

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
}  // namespace

std::vector<int32_t> Generate(const DecoderModel& model, std::span<const int32_t> prompt,
                              const GenerateOptions& options, kernels::Team& team) {
  const ModelConfig& config = model.weights.config();
  PAWL_CHECK(!prompt.empty(), "an empty prompt");
  const int64_t capacity =
      std::min(static_cast<int64_t>(prompt.size()) + options.tokens, config.max_positions);
  PAWL_CHECK_LE(static_cast<int64_t>(prompt.size()), capacity, "tokens of the prompt");
  KvCache cache(config, capacity);
  Decoder decoder(model.weights.shared_layout(), static_cast<int64_t>(prompt.size()),
                  KeepActivations::kNothing, team);
  std::vector<float> logits(static_cast<size_t>(config.vocab));
  std::vector<int32_t> ids(prompt.begin(), prompt.end()), positions(prompt.size()), out;
  std::iota(positions.begin(), positions.end(), 0);
  while (true) {
    const auto rows = static_cast<int64_t>(ids.size());
    const DecoderSequence sequence{.rows = rows, .first_position = cache.length(), .cache = &cache};
    const float* hidden = decoder.Forward(
        model, {.tokens = ids, .positions = positions, .sequences = {&sequence, 1}});
    HeadLogits(model, hidden + (rows - 1) * config.width, 1, logits.data(), team);
    const int32_t id = Sample(logits, options, cache.length());
    out.push_back(id);
    const bool ended =
        std::find(config.eos_ids.begin(), config.eos_ids.end(), id) != config.eos_ids.end();
    if (ended || static_cast<int64_t>(out.size()) >= options.tokens || cache.length() >= capacity)
      return out;
    ids.assign(1, id);
    positions.assign(1, static_cast<int32_t>(cache.length()));
  }
}

}  // namespace pawl::nn
