// tokenizer_bench TOKENIZER encode|decode|dump FILE [ROUNDS]: Pawl's side of bench/text.py.
// encode, decode: one line of JSON with the best of ROUNDS in MB/s (bytes of the text), in pieces
// of lines as a data pipeline has them. dump: for each line of FILE one line of JSON: ids, offsets,
// decoded text, ids with special tokens; what the parity test compares with the package.
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
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

void Dump(const Tokenizer& tokenizer, const std::string& text) {
  // a line of the file is a JSON string, so that texts may hold anything
  for (const std::string_view line : Lines(text)) {
    const auto sample = nlohmann::json::parse(line).get<std::string>();
    const Encoding encoding = tokenizer.EncodeWithOffsets(sample);
    nlohmann::json offsets = nlohmann::json::array();
    for (const TokenOffsets& range : encoding.offsets) offsets.push_back({range.begin, range.end});
    const auto ids = tokenizer.Encode(sample);
    TokenStream stream(tokenizer);
    std::string streamed;
    for (const int32_t id : ids) streamed += stream.Push(id);
    streamed += stream.Finish();
    const nlohmann::json out = {
        {"ids", ids},
        {"same", ids == encoding.ids},
        {"offsets", offsets},
        {"text", tokenizer.Decode(ids)},
        {"plain", tokenizer.Decode(ids, {.skip_special_tokens = true})},
        {"streamed", streamed},
        {"special", tokenizer.Encode(sample, {.add_special_tokens = true})}};
    std::printf("%s\n", out.dump().c_str());
  }
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
    std::fprintf(stderr, "usage: tokenizer_bench TOKENIZER encode|decode|dump FILE [ROUNDS]\n");
    return 2;
  }
  try {
    const auto tokenizer = LoadTokenizer(argv[1]);
    const std::string text = pawl::core::ReadTextFile(argv[3]), mode = argv[2];
    if (mode == "dump") {
      Dump(*tokenizer, text);
    } else {
      Measure(*tokenizer, text, mode == "encode", argc > 4 ? std::atoi(argv[4]) : 3);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tokenizer_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
