// ArmReach: bring the tool to a point in the air.
#include "envs/arm_env.h"
#include "envs/arm_registry.h"

namespace pawl::envs {
namespace {

struct ReachArgs : ArmArgs {
  double success_distance = 0.02;
  ReachArgs() { max_episode_steps = 50; }
  template <class V>
  void Visit(V& v) {
    VisitCommon(v);
    v.Field("success_distance", success_distance, {.help = "tool to goal", .min = 0, .unit = "m"});
  }
};

class ArmReach : public ArmEnv {
 public:
  ArmReach(const ReachArgs& args, const std::string& rig)
      : ArmEnv(args, {.id = "ArmReach",
                      .rig = rig,
                      .scene = "arm_reach",
                      .starts_open = false,
                      .view = {.azimuth = 140,
                               .elevation = -20,
                               .distance = 1.7,
                               .lookat = {0.28, 0, 0.28}}}),
        area_(arm().Area(arm().rig.config.areas.reach_goal, "reach_goal", "ArmReach")),
        goal_(sim().BodyId("goal")),
        success_distance_(args.success_distance) {
    FinishSpec({ArmPart("goal_position", 3, "m", PartRole::kGoal), ArmPart("tool_to_goal", 3, "m")},
               {"goal_distance"}, {});
  }

 protected:
  void SampleTask(core::Philox& rng, mjData& data) override {
    SampleIn(area_, rng, mocap(goal_, data));
  }

  void ObserveTask(double*& out) const override {
    out = std::copy_n(mocap(goal_), 3, out);
    PutDifference(tool(), mocap(goal_), out);
  }

  // [1 - tanh 5d + 1(d < 0.02)] / 2
  StepResult Evaluate() override {
    const double distance = Distance(tool(), mocap(goal_));
    const bool success = distance < success_distance_;
    extra_[0] = distance;
    return {.reward = (Nearness(distance) + success) / 2, .success = success};
  }

 private:
  RigBox area_;
  int goal_;
  double success_distance_;
};

}  // namespace

std::vector<EnvEntry> ArmReachEntries() {
  return {MakeArmEntry<ArmReach>("ArmReach", "robot arm: bring the tool to a point", ReachArgs())};
}

}  // namespace pawl::envs
