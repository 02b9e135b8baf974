// MuJoCo's messages. MuJoCo has one global log handler; ours turns errors into pawl::Error (the
// mjData in use is then unusable and must be thrown away), passes on what MuJoCo warns of while it
// loads a model, ignores the rest (a simulation's warnings are read from its mjData) and writes no
// MUJOCO_LOG.TXT. Thread-safe: the handler is called by every thread that steps a simulation.
#pragma once
#include <functional>
#include <string>

#include "core/error.h"

namespace pawl::envs {

// MuJoCo ran out of a simulation's own memory (<size memory="..."/>), by the text of its error.
class MujocoMemoryError : public Error {
 public:
  using Error::Error;
};

// Installs the handler; later calls do nothing. Called by everything here that touches MuJoCo.
void InstallMujocoLog();

struct ModelWarning {
  std::string path;  // of the model file
  bool own = false;  // the user's file, not one that came with Pawl
  std::string text;
};
// Who is told of warnings about models, each once per process however often its model is loaded;
// nobody before the first call. Called by the thread that loads, one at a time.
void SetModelWarningSink(std::function<void(const ModelWarning&)> sink);

// While it lives, warnings of this thread belong to the model file that is being loaded.
class MujocoLoadScope {
 public:
  MujocoLoadScope(std::string path, bool own);
  ~MujocoLoadScope();
  MujocoLoadScope(const MujocoLoadScope&) = delete;
  MujocoLoadScope& operator=(const MujocoLoadScope&) = delete;
};

}  // namespace pawl::envs
