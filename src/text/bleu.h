// Corpus BLEU (Papineni et al. 2002) with the numbers of sacrebleu's default: words cut as by
// mteval-v13a, up to four of them, a brevity penalty, and "exp" smoothing (Chen and Cherry 2014,
// method 3). Pure functions.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::text {

constexpr int kBleuOrder = 4;

// Counts of one output, or the sums of many.
struct BleuCounts {
  double words = 0, reference_words = 0;
  std::array<double, kBleuOrder> matches{}, ngrams{};
};
// `references`: at least one; the one of the nearest length counts for the brevity penalty.
BleuCounts CountBleu(std::string_view output, std::span<const std::string> references);
// 0 to 100.
double BleuOf(const BleuCounts& sums);

// The words of a line as BLEU counts them (the "13a" tokenizer).
std::vector<std::string> BleuWords(std::string_view line);

}  // namespace pawl::text
