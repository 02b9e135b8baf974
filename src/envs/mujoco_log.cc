#include "envs/mujoco_log.h"

#include <mujoco/mujoco.h>

#include <cctype>
#include <mutex>

#include "core/error.h"

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

// "Nan, Inf or huge value in QACC at DOF 3. Time = 0.12." -> the same without digits and signs inside numbers
std::string KeyOf(const std::string& text) {
  std::string key;
  for (char c : text) {
    if (!std::isdigit(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '+') key += c;
  }
  return key;
}

void OnMessage(const mjLogMessage* message) {
  if (message->level == mjLOG_ERROR) {
    // MuJoCo assumes that an error handler does not return
    throw RunError({.what = fmt::format("MuJoCo: {}", message->subject),
                    .where = message->func != nullptr ? message->func : ""});
  }
  if (message->level == mjLOG_WARNING) AddMujocoWarning(message->subject);
}

}  // namespace

void InstallMujocoLog() {
  static const mjfLogHandler previous = mju_setLogHandler(&OnMessage);
  (void)previous;
}

void AddMujocoWarning(const std::string& text) {
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

std::vector<MujocoWarning> TakeMujocoWarnings() {
  std::lock_guard lock(Mutex());
  std::vector<MujocoWarning> out;
  for (Kind& kind : Kinds()) out.push_back(std::move(kind.warning));
  Kinds().clear();
  return out;
}

}  // namespace pawl::envs
