// tokenizer_bench TOKENIZER encode|decode FILE [ROUNDS]: Pawl's side of bench/text.py. One line of
// JSON with the best of ROUNDS in MB/s (bytes of the text), line by line as a data pipeline has it;
// decode: streamed, token by token.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "text/tokenizer.h"

namespace {
using namespace pawl::text;  // NOLINT: a program of one file
using Clock = std::chrono::steady_clock;

std::vector<std::string_view> Lines(const std::string& text) {
  std::vector<std::string_view> lines;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = rest.find('\n');
    lines.push_back(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return lines;
}

double Rate(size_t bytes, Clock::time_point start) {
  return static_cast<double>(bytes) / 1e6 /
         std::chrono::duration<double>(Clock::now() - start).count();
}

void Measure(const Tokenizer& tokenizer, const std::string& text, bool encode, int rounds) {
  const auto lines = Lines(text);
  std::vector<std::vector<int32_t>> ids;
  size_t tokens = 0;
  double best = 0;
  for (const std::string_view line : lines) {
    ids.push_back(tokenizer.Encode(line));
    tokens += ids.back().size();
  }
  for (int round = 0; round < rounds; ++round) {
    const auto start = Clock::now();
    if (encode) {
      for (size_t i = 0; i < lines.size(); ++i) ids[i] = tokenizer.Encode(lines[i]);
    } else {
      size_t bytes = 0;
      for (const auto& row : ids) {
        TokenStream stream(tokenizer);
        for (const int32_t id : row) bytes += stream.Push(id).size();
        bytes += stream.Finish().size();
      }
      if (bytes == 0) std::puts("nothing");
    }
    best = std::max(best, Rate(text.size(), start));
  }
  std::printf("{\"mb_per_s\": %.2f, \"tokens\": %zu}\n", best, tokens);
}
}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: tokenizer_bench TOKENIZER encode|decode FILE [ROUNDS]\n");
    return 2;
  }
  try {
    const auto tokenizer = LoadTokenizer(argv[1]);
    const std::string text = pawl::core::ReadTextFile(argv[3]), mode = argv[2];
    if (mode != "encode" && mode != "decode")
      throw pawl::UserError({.what = "the mode '" + mode + "'", .expected = "encode or decode"});
    Measure(*tokenizer, text, mode == "encode", argc > 4 ? std::atoi(argv[4]) : 3);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tokenizer_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
