// The process's log: lines to the terminal (standard error; standard output stays free for results)
// and to the run's log.txt. Only train/ and cli/ log; libraries return values and throw.
// Thread-safe. spdlog stays behind log.cc.
#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace pawl::core {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError, kOff };

struct LogOptions {
  LogLevel terminal_level = LogLevel::kInfo;  // kOff: nothing on the terminal
  std::string file;  // "" = no file; else lines are appended, with time and level
  LogLevel file_level = LogLevel::kDebug;
};

// Replaces the sinks. Before the first call the log goes to the terminal from kInfo up, and its
// last 64 lines, debug ones included, begin the file of the first call. Throws RunError when the
// file cannot be opened.
void StartLog(const LogOptions& options);

// On a terminal a line first clears the one the cursor is on (a progress line, redrawn by its
// owner), and warnings and errors are coloured; elsewhere lines are plain. kWarn and kError are
// marked "warning: " and "error: ".
void Log(LogLevel level, std::string_view message);
bool LogEnabled(LogLevel level);

}  // namespace pawl::core

// PAWL_LOG_INFO("step {}", step): nothing is formatted for a level that no sink wants.
#define PAWL_LOG_(level, ...)                               \
  do {                                                      \
    if (::pawl::core::LogEnabled(level)) {                  \
      ::pawl::core::Log(level, ::fmt::format(__VA_ARGS__)); \
    }                                                       \
  } while (false)
#define PAWL_LOG_DEBUG(...) PAWL_LOG_(::pawl::core::LogLevel::kDebug, __VA_ARGS__)
#define PAWL_LOG_INFO(...) PAWL_LOG_(::pawl::core::LogLevel::kInfo, __VA_ARGS__)
#define PAWL_LOG_WARN(...) PAWL_LOG_(::pawl::core::LogLevel::kWarn, __VA_ARGS__)
#define PAWL_LOG_ERROR(...) PAWL_LOG_(::pawl::core::LogLevel::kError, __VA_ARGS__)
