#include "envs/arm_ik.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/rng.h"
#include "env_testing.h"
#include "envs/arm_model.h"

namespace pawl::envs {
namespace {

const std::string kSixAxis = PAWL_SOURCE_DIR "/tests/envs/data/six_axis.toml";

// the built-in arm and one whose base is moved and turned
class ArmIk : public testing::TestWithParam<std::string> {
 protected:
  ArmIk() : arm_(LoadArmModel(GetParam(), "arm_reach")), sim_(arm_->model) {}
  int count() const { return arm_->num_joints(); }
  void SetPose(core::Philox& rng, double spread) {
    for (int i = 0; i < count(); ++i) {
      sim_.data().qpos[arm_->qpos_adr[i]] = arm_->home[i] + rng.Uniform(-spread, spread);
    }
    mj_kinematics(arm_->model.get(), &sim_.data());
    mj_comPos(arm_->model.get(), &sim_.data());
  }
  const double* tool() const { return sim_.data().site_xpos + 3 * arm_->tool_site; }
  const double* rotation() const { return sim_.data().site_xmat + 9 * arm_->tool_site; }

  std::shared_ptr<const ArmModel> arm_;
  MujocoSim sim_;
};

TEST_P(ArmIk, JacobianIsMujocosOwn) {
  core::Philox rng = TestStream(1);
  const int nv = arm_->model->nv;
  std::vector<double> linear(3 * nv), angular(3 * nv), ours(6 * count());
  for (int round = 0; round < 20; ++round) {
    SetPose(rng, 1.0);
    ToolJacobian(*arm_->model, sim_.data(), arm_->joints, tool(), ours);
    mj_jacSite(arm_->model.get(), &sim_.data(), linear.data(), angular.data(), arm_->tool_site);
    for (int j = 0; j < count(); ++j) {
      for (int i = 0; i < 3; ++i) {
        EXPECT_NEAR(ours[i * count() + j], linear[i * nv + arm_->dof_adr[j]], 1e-13);
        EXPECT_NEAR(ours[(3 + i) * count() + j], angular[i * nv + arm_->dof_adr[j]], 1e-13);
      }
    }
  }
}

// the damped normal equations in joint space: (J^T J + damping I) dq = J^T e, the same solution by
// another route
TEST_P(ArmIk, StepSolvesTheDampedLeastSquares) {
  core::Philox rng = TestStream(2);
  const int n = count();
  std::vector<double> jacobian(6 * n), error(6), dq(n);
  for (int round = 0; round < 20; ++round) {
    SetPose(rng, 1.0);
    for (double& e : error) e = rng.Uniform(-0.1, 0.1);
    ToolJacobian(*arm_->model, sim_.data(), arm_->joints, tool(), jacobian);
    DampedLeastSquares(jacobian, error, 1e-3, dq);
    for (int j = 0; j < n; ++j) {
      double residual = 1e-3 * dq[j];
      for (int i = 0; i < 6; ++i) {
        double moved = -error[i];
        for (int k = 0; k < n; ++k) moved += jacobian[i * n + k] * dq[k];
        residual += jacobian[i * n + j] * moved;
      }
      EXPECT_NEAR(residual, 0, 1e-12);
    }
  }
}

TEST_P(ArmIk, RepeatedStepsReachThePose) {
  core::Philox rng = TestStream(3);
  mjData& data = sim_.data();
  std::vector<double> jacobian(6 * count()), error(6), dq(count());
  SetPose(rng, 0);
  const std::vector<double> home(tool(), tool() + 3);
  for (int round = 0; round < 10; ++round) {
    SetPose(rng, 0.2);
    double target[3];
    for (int i = 0; i < 3; ++i) target[i] = home[i] + rng.Uniform(-0.1, 0.1);
    for (int step = 0; step < 100; ++step) {
      PoseError({tool(), rotation()}, {target, arm_->downward.data()}, error);
      ToolJacobian(*arm_->model, data, arm_->joints, tool(), jacobian);
      DampedLeastSquares(jacobian, error, 1e-3, dq);
      for (int i = 0; i < count(); ++i) data.qpos[arm_->qpos_adr[i]] += dq[i];
      mj_kinematics(arm_->model.get(), &data);
    }
    PoseError({tool(), rotation()}, {target, arm_->downward.data()}, error);
    for (double e : error) EXPECT_NEAR(e, 0, 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Arms, ArmIk, testing::Values("", kSixAxis),
                         [](const auto& info) { return info.param.empty() ? "Panda" : "SixAxis"; });

// 1/2 sum r_i x r_i* of a turn by angle a about an axis is sin(a) times the axis
TEST(PoseError, IsTheSineOfTheAngleAlongTheAxis) {
  const double axis[3] = {2 / 3.0, -1 / 3.0, 2 / 3.0}, origin[3] = {0, 0, 0};
  const double still[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  for (double angle : {0.0, 0.1, 1.0, 1.5}) {
    double quat[4], turned[9], error[6];
    mju_axisAngle2Quat(quat, axis, angle);
    mju_quat2Mat(turned, quat);
    PoseError({origin, still}, {axis, turned}, error);
    for (int i = 0; i < 3; ++i) {
      EXPECT_NEAR(error[i], axis[i], 1e-15);
      EXPECT_NEAR(error[3 + i], std::sin(angle) * axis[i], 1e-14);
    }
  }
}

}  // namespace
}  // namespace pawl::envs
