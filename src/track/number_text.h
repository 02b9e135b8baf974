// Numbers as text: exact ones for files, short ones for people. Locale-free, thread-safe.
#pragma once
#include <cstdint>
#include <string>

namespace pawl::track {

// Appends the shortest JSON number that reads back to the same bits ("0.1", "1000000", "-0.0");
// "null" where not finite.
void AppendJsonNumber(std::string& out, double value);

// About `digits` significant digits, without needless zeros: "0.0123", "12.3", "1.2e-05". "-" where
// not finite.
std::string ShortNumber(double value, int digits = 4);
// With a suffix from a thousand up: "950", "12.5k", "1.25M", "3B".
std::string CountText(double value);
// "0.8 s", "42 s", "3 min 20 s", "1 h 02 min".
std::string DurationText(double seconds);
// "87.5 %".
std::string PercentText(double share);
// "640 B", "12.3 kB", "4.1 MB" (powers of 1000).
std::string SizeText(uint64_t bytes);

}  // namespace pawl::track
