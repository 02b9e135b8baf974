// One MuJoCo simulation: an immutable model, shared, and the mjData that steps it. Every MuJoCo
// task owns one; the thread that steps the task is the only one to touch it. Models are loaded once
// per file and live as long as somebody uses them.
#pragma once
#include <mujoco/mujoco.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "envs/env.h"
#include "envs/mujoco_log.h"

namespace pawl::envs {

using SharedModel = std::shared_ptr<const mjModel>;

// The model of an MJCF file, loaded once per path. Throws UserError when MuJoCo cannot load it; a
// warning goes to the sink of mujoco_log.h. Thread-safe.
SharedModel LoadMujocoModel(const std::string& path);

// Takes a compiled model over and prepares it: no automatic reset (mjDSBL_AUTORESET), so that a
// diverged simulation is seen instead of teleported. Throws UserError for options whose state
// MuJoCo cannot save (sleeping, ipc contacts).
SharedModel ShareMujocoModel(mjModel* model);

class MujocoSim {
 public:
  explicit MujocoSim(SharedModel model);

  const mjModel& model() const { return *model_; }
  const SharedModel& shared_model() const { return model_; }
  mjData& data() { return *data_; }
  const mjData& data() const { return *data_; }

  // mj_resetData: the model's initial state, nothing computed from it yet.
  void Reset();
  // Gymnasium's reset: mj_resetData, qpos [nq] and qvel [nv] set, mj_forward.
  void ResetTo(std::span<const double> qpos, std::span<const double> qvel);
  // Holds control [nu] for `substeps` calls of mj_step, stopping at the first with bad numbers.
  [[nodiscard]] Divergence Step(std::span<const double> control, int substeps);
  // Runs advance(mjData&), a task's own loop of physics steps (which ends where HasBadWarning says
  // so). Says what went wrong, then the state must not be used any more before the next reset. An
  // error of MuJoCo throws (running out of the simulation's memory is a divergence instead); data()
  // is then another mjData, in the initial state.
  template <class Advance>
  [[nodiscard]] Divergence Run(const Advance& advance) {
    try {
      advance(*data_);
    } catch (const MujocoMemoryError&) {
      MakeData();
      return Divergence::kConstraintMemory;
    } catch (...) {
      // it was thrown through a function of MuJoCo: what that left half done is not usable
      MakeData();
      throw;
    }
    return TakeDivergence();
  }
  // Whether a step since the last Run found bad numbers.
  static bool HasBadWarning(const mjData& data) {
    const mjWarningStat* warning = data.warning;
    return (warning[mjWARN_BADQPOS].number | warning[mjWARN_BADQVEL].number |
            warning[mjWARN_BADQACC].number) != 0;
  }

  // mjSTATE_INTEGRATION. What MuJoCo computes from it (xpos, cvel, ...) is neither saved nor
  // recomputed: mj_step computes it from the same state first. A task that reads such a field from
  // before a step saves what it read.
  void SaveState(core::ByteWriter& out) const;
  void LoadState(core::ByteReader& in);

  // Ids by name. Throw UserError with the nearest name and the model's file.
  int BodyId(const std::string& name) const { return Id(mjOBJ_BODY, name); }
  int Id(mjtObj type, const std::string& name) const;

 private:
  struct DeleteData {
    void operator()(mjData* data) const { mj_deleteData(data); }
  };
  void MakeData();
  // Reads and clears the warnings, checks qpos and qvel.
  Divergence TakeDivergence();

  SharedModel model_;
  std::unique_ptr<mjData, DeleteData> data_;
  int state_size_ = 0;  // numbers in mjSTATE_INTEGRATION
};

}  // namespace pawl::envs
