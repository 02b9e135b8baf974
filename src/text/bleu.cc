#include "text/bleu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "core/error.h"
#include "text/python_text.h"

namespace pawl::text {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsPoint(char c) { return c == '.' || c == ','; }
// ASCII without letters, digits and ' , - .
bool IsSymbol(char c) {
  return (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

// As a regular expression of two characters replaces: left to right, none of them twice.
template <class Match>
std::string ReplacePairs(std::string_view text, const Match& match, const char* before,
                         const char* between, const char* after) {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    if (at + 1 < text.size() && match(text[at], text[at + 1])) {
      out.append(before).append(1, text[at]).append(between).append(1, text[at + 1]).append(after);
      at += 2;
    } else {
      out += text[at++];
    }
  }
  return out;
}

using Words = std::vector<std::string>;
using Ngrams = std::map<Words, double>;

Ngrams NgramsOf(const Words& words) {
  Ngrams ngrams;
  for (size_t begin = 0; begin < words.size(); ++begin) {
    Words ngram;
    for (size_t n = 0; n < kBleuOrder && begin + n < words.size(); ++n) {
      ngram.push_back(words[begin + n]);
      ngrams[ngram] += 1;
    }
  }
  return ngrams;
}
}  // namespace

std::vector<std::string> BleuWords(std::string_view line) {
  using python::Replace;
  std::string text = Replace(python::RightStrip(line), "<skipped>", "", -1);
  text = Replace(Replace(text, "-\n", "", -1), "\n", " ", -1);
  text = Replace(Replace(text, "&quot;", "\"", -1), "&amp;", "&", -1);
  text = Replace(Replace(text, "&lt;", "<", -1), "&gt;", ">", -1);
  std::string apart = " ";
  for (const char c : text) {
    if (IsSymbol(c)) {
      apart.append(1, ' ').append(1, c).append(1, ' ');
    } else {
      apart += c;
    }
  }
  apart += ' ';
  // points and commas stand alone unless digits are on both sides; a dash behind a digit does
  apart = ReplacePairs(
      apart, [](char a, char b) { return !IsDigit(a) && IsPoint(b); }, "", " ", " ");
  apart = ReplacePairs(
      apart, [](char a, char b) { return IsPoint(a) && !IsDigit(b); }, " ", " ", "");
  apart = ReplacePairs(
      apart, [](char a, char b) { return IsDigit(a) && b == '-'; }, "", " ", " ");
  std::vector<std::string> words;
  for (const std::string_view word : python::Split(apart, -1, false)) words.emplace_back(word);
  return words;
}

BleuCounts CountBleu(std::string_view output, std::span<const std::string> references) {
  PAWL_CHECK(!references.empty(), "BLEU without a reference");
  const Words words = BleuWords(output);
  BleuCounts counts;
  counts.words = static_cast<double>(words.size());
  Ngrams most;  // of any reference
  bool first = true;
  for (const std::string& reference : references) {
    const Words other = BleuWords(reference);
    for (const auto& [ngram, count] : NgramsOf(other)) {
      double& kept = most[ngram];
      kept = std::max(kept, count);
    }
    const auto size = static_cast<double>(other.size());
    const double distance = std::abs(size - counts.words);
    const double nearest = std::abs(counts.reference_words - counts.words);
    if (first || distance < nearest || (distance == nearest && size < counts.reference_words))
      counts.reference_words = size;
    first = false;
  }
  for (const auto& [ngram, count] : NgramsOf(words)) {
    const size_t order = ngram.size() - 1;
    counts.ngrams[order] += count;
    const auto found = most.find(ngram);
    if (found != most.end()) counts.matches[order] += std::min(count, found->second);
  }
  return counts;
}

double BleuOf(const BleuCounts& sums) {
  if (sums.matches[0] == 0) return 0;  // then no longer one matches either
  double log_sum = 0, smoothing = 1;
  for (int n = 0; n < kBleuOrder; ++n) {
    if (sums.ngrams[n] == 0) return 0;
    if (sums.matches[n] == 0) smoothing *= 2;
    const double matches = sums.matches[n] == 0 ? 1 / smoothing : sums.matches[n];
    log_sum += std::log(100 * matches / sums.ngrams[n]);
  }
  const double brevity =
      sums.words < sums.reference_words ? std::exp(1 - sums.reference_words / sums.words) : 1;
  return brevity * std::exp(log_sum / kBleuOrder);
}

}  // namespace pawl::text
