#include "text/byte_symbols.h"

#include <array>

#include "text/utf8.h"

namespace pawl::text {
namespace {
constexpr bool IsPrintable(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) ||
         (byte >= 0xAE && byte <= 0xFF);
}

struct Tables {
  std::array<char32_t, 256> symbol{};
  std::array<int16_t, 0x144> byte{};  // the last symbol is U+0143
};

constexpr Tables MakeTables() {
  Tables tables;
  for (auto& entry : tables.byte) entry = -1;
  char32_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t symbol = IsPrintable(byte) ? static_cast<char32_t>(byte) : next++;
    tables.symbol[static_cast<size_t>(byte)] = symbol;
    tables.byte[symbol] = static_cast<int16_t>(byte);
  }
  return tables;
}
constexpr Tables kTables = MakeTables();
}  // namespace

char32_t SymbolOfByte(uint8_t byte) { return kTables.symbol[byte]; }

int ByteOfSymbol(char32_t symbol) {
  return symbol < kTables.byte.size() ? kTables.byte[symbol] : -1;
}

std::string BytesToSymbols(std::string_view bytes) {
  std::string symbols;
  for (const char c : bytes) AppendUtf8(symbols, SymbolOfByte(static_cast<uint8_t>(c)));
  return symbols;
}

bool SymbolsToBytes(std::string_view symbols, std::string& bytes) {
  bytes.clear();
  for (size_t at = 0; at < symbols.size();) {
    const CodePoint point = CodePointAt(symbols, at);
    const int byte = point.valid ? ByteOfSymbol(point.value) : -1;
    if (byte < 0) return false;
    bytes += static_cast<char>(byte);
    at += point.size;
  }
  return true;
}

}  // namespace pawl::text
