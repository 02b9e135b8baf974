// MuJoCo's messages. MuJoCo has one global log handler; ours turns errors into pawl::Error (the
// mjData in use is then unusable and must be thrown away), keeps warnings for whoever logs, ignores
// the rest and writes no MUJOCO_LOG.TXT. Thread-safe: the handler is called by every thread that
// steps a simulation.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace pawl::envs {

// MuJoCo ran out of a simulation's own memory (<size memory="..."/>), by the text of its error.
class MujocoMemoryError : public Error {
 public:
  using Error::Error;
};

// Installs the handler; later calls do nothing. Called by everything here that touches MuJoCo.
void InstallMujocoLog();

struct MujocoWarning {
  std::string text;   // first of its kind: numbers inside the text do not make a new kind
  int64_t count = 0;  // how often it came since the last take
};
// While it lives, warnings of this thread begin with the name of the model file that is being
// loaded.
class MujocoLoadScope {
 public:
  explicit MujocoLoadScope(std::string path);
  ~MujocoLoadScope();
  MujocoLoadScope(const MujocoLoadScope&) = delete;
  MujocoLoadScope& operator=(const MujocoLoadScope&) = delete;
};
// The warnings since the last call, oldest first, at most 64 kinds.
std::vector<MujocoWarning> TakeMujocoWarnings();

}  // namespace pawl::envs
