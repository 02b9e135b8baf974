#include "track/number_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace pawl::track {
namespace {
// integers up to here are printed in full, which is what scripts expect of counters
constexpr double kMaxPlainInteger = 1e15;

// Drops the zeros at the end of a fraction: "1.50" -> "1.5", "2.00" -> "2".
std::string TrimZeros(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

// Three significant digits of a number in [0, 1000).
std::string ThreeDigits(double value) {
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return TrimZeros(fmt::format("{:.{}f}", value, decimals));
}
}  // namespace

void AppendJsonNumber(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  if (value == 0 && std::signbit(value)) {
    out += "-0.0";  // "-0" would read back as the integer 0
    return;
  }
  char buffer[40];
  const bool integer = std::fabs(value) < kMaxPlainInteger && value == std::trunc(value);
  const auto end = integer
                       ? std::to_chars(buffer, buffer + sizeof(buffer), static_cast<int64_t>(value))
                       : std::to_chars(buffer, buffer + sizeof(buffer), value);
  out.append(buffer, end.ptr);
}

std::string ShortNumber(double value, int digits) {
  if (!std::isfinite(value)) return "-";
  if (value == 0) return "0";
  const double size = std::fabs(value);
  if (size < 1e-4 || size >= 1e7) return fmt::format("{:.{}g}", value, digits);
  const int before = size < 1 ? 0 : static_cast<int>(std::floor(std::log10(size))) + 1;
  const int leading = size < 1 ? static_cast<int>(-std::floor(std::log10(size))) - 1 : 0;
  return TrimZeros(fmt::format("{:.{}f}", value, std::max(0, digits - before + leading)));
}

std::string CountText(double value) {
  if (!std::isfinite(value)) return "-";
  const double size = std::fabs(value);
  const std::string sign = value < 0 ? "-" : "";
  if (size < 999.5) return fmt::format("{}{}", sign, ThreeDigits(size));
  if (size < 999.5e3) return fmt::format("{}{}k", sign, ThreeDigits(size / 1e3));
  if (size < 999.5e6) return fmt::format("{}{}M", sign, ThreeDigits(size / 1e6));
  return fmt::format("{}{}B", sign, TrimZeros(fmt::format("{:.2f}", size / 1e9)));
}

std::string DurationText(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  const int64_t minutes = (whole + 30) / 60;
  return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

std::string PercentText(double share) {
  if (!std::isfinite(share)) return "-";
  return TrimZeros(fmt::format("{:.1f}", share * 100)) + " %";
}

std::string SizeText(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  const auto size = static_cast<double>(bytes);
  if (size < 999.5e3) return ThreeDigits(size / 1e3) + " kB";
  if (size < 999.5e6) return ThreeDigits(size / 1e6) + " MB";
  return ThreeDigits(size / 1e9) + " GB";
}

}  // namespace pawl::track
