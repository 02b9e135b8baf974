// GPT-2's symbols of the 256 bytes: printable bytes stand for themselves, the others for U+0100 on,
// so that any bytes can be written as text ("Ġthe" is " the"). Pure functions.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace pawl::text {

char32_t SymbolOfByte(uint8_t byte);
// -1 where the code point is no byte's symbol.
int ByteOfSymbol(char32_t symbol);

std::string BytesToSymbols(std::string_view bytes);
// False, and `bytes` unspecified, where a character is no byte's symbol.
bool SymbolsToBytes(std::string_view symbols, std::string& bytes);

}  // namespace pawl::text
