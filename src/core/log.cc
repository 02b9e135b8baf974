#include "core/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/ringbuffer_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <mutex>

#include "core/error.h"

namespace pawl::core {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err,
                                                          spdlog::level::off};
  return kLevels[static_cast<size_t>(level)];
}

// spdlog's own terminal sink cannot clear a progress line or leave the level out for plain
// information.
class TerminalSink : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    // asked each time: standard error may be redirected after the start
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    const bool error = message.level >= spdlog::level::err;
    const bool warning = message.level == spdlog::level::warn;
    std::string line = terminal ? "\r\x1b[K" : "";
    if (terminal && error) line += "\x1b[31m";
    if (terminal && warning) line += "\x1b[33m";
    line += error ? "error: " : warning ? "warning: " : "";
    line.append(message.payload.begin(), message.payload.end());
    if (terminal && (error || warning)) line += "\x1b[0m";
    line += '\n';
    std::fwrite(line.data(), 1, line.size(),
                stderr);  // one call: lines of several processes do not mix
  }
  void flush_() override { std::fflush(stderr); }
};

// Lines from before there is a log file, which then begins with them.
using EarlyLines = spdlog::sinks::ringbuffer_sink_mt;

// early: null once the log was started
std::shared_ptr<spdlog::logger> MakeLogger(const LogOptions& options, EarlyLines* early) {
  auto logger = std::make_shared<spdlog::logger>("pawl");
  auto terminal = std::make_shared<TerminalSink>();
  terminal->set_level(ToSpdlog(options.terminal_level));
  logger->sinks().push_back(terminal);
  LogLevel lowest = options.terminal_level;
  if (!options.file.empty()) {
    try {
      auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
      file->set_level(ToSpdlog(options.file_level));
      file->set_pattern("[%Y-%m-%d %H:%M:%S.%e] [%l] %v");
      if (early != nullptr) {
        for (const auto& line : early->last_raw()) {
          if (file->should_log(line.level)) file->log(line);
        }
      }
      logger->sinks().push_back(file);
    } catch (const spdlog::spdlog_ex& error) {
      throw RunError(
          {.what = fmt::format("cannot write the log '{}': {}", options.file, error.what())});
    }
    lowest = std::min(lowest, options.file_level);
  }
  logger->set_level(ToSpdlog(lowest));
  logger->flush_on(spdlog::level::debug);  // few lines, and a killed run should have them all
  return logger;
}

std::shared_ptr<spdlog::logger> LoggerBeforeStart() {
  auto logger = MakeLogger({}, nullptr);
  logger->sinks().push_back(std::make_shared<EarlyLines>(64));
  logger->set_level(spdlog::level::debug);
  return logger;
}

std::shared_ptr<spdlog::logger>& CurrentLogger() {
  static std::shared_ptr<spdlog::logger> logger = LoggerBeforeStart();
  return logger;
}
}  // namespace

void StartLog(const LogOptions& options) {
  const auto before = std::atomic_load(&CurrentLogger());
  auto logger = MakeLogger(options, dynamic_cast<EarlyLines*>(before->sinks().back().get()));
  std::atomic_exchange(&CurrentLogger(), std::move(logger));
}

void Log(LogLevel level, std::string_view message) {
  std::atomic_load(&CurrentLogger())
      ->log(ToSpdlog(level), spdlog::string_view_t(message.data(), message.size()));
}

bool LogEnabled(LogLevel level) {
  return std::atomic_load(&CurrentLogger())->should_log(ToSpdlog(level));
}

}  // namespace pawl::core
