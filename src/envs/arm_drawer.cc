// ArmDrawer: pull a drawer open by its handle. The cabinet stands elsewhere in every episode.
#include "envs/arm_env.h"
#include "envs/arm_registry.h"

namespace pawl::envs {
namespace {

struct DrawerArgs : ArmArgs {
  double success_opening = 0.15;
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    v.Field("success_opening", success_opening,
            {.help = "how far it must be open", .min = 0, .max = 0.2, .unit = "m"});
  }
};

class ArmDrawer : public ArmEnv {
 public:
  ArmDrawer(const DrawerArgs& args, const std::string& rig)
      : ArmEnv(args, {.id = "ArmDrawer",
                      .rig = rig,
                      .scene = "arm_drawer",
                      .view = {.azimuth = 125,
                               .elevation = -25,
                               .distance = 1.7,
                               .lookat = {0.35, 0, 0.2}}}),
        area_(arm().Area(arm().rig.config.areas.cabinet, "cabinet", "ArmDrawer")),
        cabinet_(sim().BodyId("cabinet")),
        handle_(sim().Id(mjOBJ_SITE, "handle")),
        qpos_(model().jnt_qposadr[sim().Id(mjOBJ_JOINT, "drawer")]),
        dof_(model().jnt_dofadr[sim().Id(mjOBJ_JOINT, "drawer")]),
        success_opening_(args.success_opening) {
    FinishSpec({ArmPart("tool_to_handle", 3, "m"), ArmPart("drawer_opening", 1, "m"),
                ArmPart("drawer_velocity", 1, "m/s")},
               {"opening"}, {"handle"});
  }

 protected:
  void SampleTask(core::Philox& rng, mjData& data) override {
    SampleIn(area_, rng, mocap(cabinet_, data));
  }

  void ObserveTask(double*& out) const override {
    PutDifference(tool(), handle(), out);
    *out++ = data().qpos[qpos_];
    *out++ = data().qvel[dof_];
  }

  // [1 - tanh 5 d_h + 2 clip(s / 0.15)] / 4, and 1 once s > 0.15
  StepResult Evaluate() override {
    const double opening = data().qpos[qpos_];
    const bool success = opening > success_opening_;
    extra_[0] = opening;
    const double share = std::clamp(opening / success_opening_, 0.0, 1.0);
    const double shaped = (Nearness(Distance(tool(), handle())) + 2 * share) / 4;
    return {.reward = success ? 1 : shaped, .success = success};
  }

 private:
  const double* handle() const { return data().site_xpos + 3 * handle_; }

  RigBox area_;
  int cabinet_, handle_, qpos_, dof_;
  double success_opening_;
};

}  // namespace

std::vector<EnvEntry> ArmDrawerEntries() {
  return {MakeArmEntry<ArmDrawer>("ArmDrawer", "robot arm: pull a drawer open", DrawerArgs())};
}

}  // namespace pawl::envs
