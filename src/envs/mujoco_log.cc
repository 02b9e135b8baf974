#include "envs/mujoco_log.h"

#include <mujoco/mujoco.h>

#include <cctype>
#include <cstring>
#include <mutex>
#include <set>
#include <utility>

namespace pawl::envs {
namespace {

// Runs of white space, newlines among them, become one space.
std::string OneLine(const char* text) {
  std::string line;
  for (; *text != 0; ++text) {
    if (!std::isspace(static_cast<unsigned char>(*text))) {
      line += *text;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  return line;
}

struct Sink {
  std::mutex mutex;
  std::function<void(const ModelWarning&)> function;
  std::set<std::string> told;  // path and text
};
Sink& TheSink() {
  static Sink sink;
  return sink;
}

// The model that this thread is loading; path "" else.
ModelWarning& Loading() {
  thread_local ModelWarning loading;
  return loading;
}

void Tell(std::string text) {
  ModelWarning warning = Loading();
  if (warning.path.empty()) return;
  warning.text = std::move(text);
  Sink& sink = TheSink();
  std::lock_guard lock(sink.mutex);
  if (!sink.function || !sink.told.insert(warning.path + '\n' + warning.text).second) return;
  sink.function(warning);
}

void OnMessage(const mjLogMessage* message) {
  if (message->level == mjLOG_ERROR) {
    // MuJoCo assumes that an error handler does not return
    const Error error = RunError({.what = "MuJoCo: " + OneLine(message->subject)});
    if (std::strstr(message->subject, "out of memory") != nullptr) {
      throw MujocoMemoryError(error.what());
    }
    throw error;
  }
  if (message->level == mjLOG_WARNING) Tell(OneLine(message->subject));
}

}  // namespace

void InstallMujocoLog() {
  static const mjfLogHandler previous = mju_setLogHandler(&OnMessage);
  (void)previous;
}

void SetModelWarningSink(std::function<void(const ModelWarning&)> sink) {
  std::lock_guard lock(TheSink().mutex);
  TheSink().function = std::move(sink);
  TheSink().told.clear();
}

MujocoLoadScope::MujocoLoadScope(std::string path, bool own) {
  Loading() = {.path = std::move(path), .own = own, .text = ""};
}
MujocoLoadScope::~MujocoLoadScope() { Loading() = {}; }

}  // namespace pawl::envs
