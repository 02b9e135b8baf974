#include "envs/mujoco_log.h"

#include <mujoco/mujoco.h>

#include <cctype>
#include <cstring>
#include <mutex>

namespace pawl::envs {
namespace {

constexpr size_t kMaxKinds = 64;

struct Kind {
  std::string key;  // the text without its digits
  MujocoWarning warning;
};

std::mutex& Mutex() {
  static std::mutex mutex;
  return mutex;
}
std::vector<Kind>& Kinds() {
  static std::vector<Kind> kinds;
  return kinds;
}

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

// "Nan, Inf or huge value in QACC at DOF 3. Time = 0.12." -> the same without digits and signs
// inside numbers
std::string KeyOf(const std::string& text) {
  std::string key;
  for (char c : text) {
    if (!std::isdigit(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '+') key += c;
  }
  return key;
}

std::string& LoadingPath() {
  thread_local std::string path;
  return path;
}

void AddWarning(const std::string& text) {
  std::string key = KeyOf(text);
  std::lock_guard lock(Mutex());
  for (Kind& kind : Kinds()) {
    if (kind.key == key) {
      ++kind.warning.count;
      return;
    }
  }
  if (Kinds().size() < kMaxKinds) Kinds().push_back({std::move(key), {text, 1}});
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
  if (message->level == mjLOG_WARNING) {
    const std::string& path = LoadingPath();
    const std::string text = OneLine(message->subject);
    AddWarning(path.empty() ? text : fmt::format("{}: {}", path, text));
  }
}

}  // namespace

void InstallMujocoLog() {
  static const mjfLogHandler previous = mju_setLogHandler(&OnMessage);
  (void)previous;
}

MujocoLoadScope::MujocoLoadScope(std::string path) { LoadingPath() = std::move(path); }
MujocoLoadScope::~MujocoLoadScope() { LoadingPath().clear(); }

std::vector<MujocoWarning> TakeMujocoWarnings() {
  std::lock_guard lock(Mutex());
  std::vector<MujocoWarning> out;
  for (Kind& kind : Kinds()) out.push_back(std::move(kind.warning));
  Kinds().clear();
  return out;
}

}  // namespace pawl::envs
